-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    motorcycle_id,
    kind,
    filename,
    object_key,
    content_type,
    size_bytes,
    sha256,
    valid_until,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'documents') }}
