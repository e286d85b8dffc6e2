-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    ride_id,
    event_id,
    lat,
    lon,
    heading_deg,
    speed_kmh,
    battery_pct,
    recorded_at,
    created_at
from {{ source('raw_throttlecove', 'live_locations') }}
