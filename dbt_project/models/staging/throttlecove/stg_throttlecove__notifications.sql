-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    actor_id,
    kind,
    payload,
    read,
    read_at,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'notifications') }}
