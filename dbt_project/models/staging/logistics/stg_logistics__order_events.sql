-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    order_id,
    kind,
    at,
    lat,
    lon,
    payload,
    created_at
from {{ source('raw_logistics', 'order_events') }}
