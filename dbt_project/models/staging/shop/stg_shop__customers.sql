-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    unique_id,
    name,
    email,
    phone,
    zip_prefix,
    city,
    state,
    country,
    marketing_opt_in,
    last_ip,
    created_at,
    updated_at
from {{ source('raw_shop', 'customers') }}
