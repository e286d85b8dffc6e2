-- rendered by `drivetrain catalog render`; not edited by hand
select
    ride_id,
    seq,
    recorded_at,
    user_id,
    lat,
    lon,
    elevation_m,
    speed_mps,
    accuracy_m,
    received_at
from {{ source('raw_bikenode', 'gps_points') }}
