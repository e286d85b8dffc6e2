-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    rider_id,
    started_at,
    ended_at,
    start_lat,
    start_lon,
    end_reason,
    created_at
from {{ source('raw_logistics', 'duty_logs') }}
