-- rendered by `drivetrain catalog render`; not edited by hand
select
    follower_id,
    followee_id,
    notify,
    created_at
from {{ source('raw_throttlecove', 'follows') }}
