-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    vendor_id,
    name,
    slug,
    status,
    zip_prefix,
    city,
    state,
    country,
    settings,
    created_at,
    updated_at
from {{ source('raw_shop', 'shops') }}
