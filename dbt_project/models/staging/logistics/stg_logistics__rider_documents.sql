-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    rider_id,
    document_type,
    bucket,
    object_key,
    number_masked,
    sha256,
    byte_size,
    status,
    expires_on,
    verified_at,
    created_at,
    updated_at
from {{ source('raw_logistics', 'rider_documents') }}
