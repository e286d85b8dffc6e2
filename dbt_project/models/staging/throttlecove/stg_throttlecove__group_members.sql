-- rendered by `drivetrain catalog render`; not edited by hand
select
    group_id,
    user_id,
    role,
    muted_until,
    joined_at,
    updated_at
from {{ source('raw_throttlecove', 'group_members') }}
