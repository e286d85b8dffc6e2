-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    rider_id,
    lat,
    lon,
    accuracy,
    speed,
    created_at
from {{ source('raw_logistics', 'location_logs') }}
