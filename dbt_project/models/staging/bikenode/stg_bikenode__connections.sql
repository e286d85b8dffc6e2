-- rendered by `drivetrain catalog render`; not edited by hand
select
    follower_id,
    followee_id,
    status,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'connections') }}
