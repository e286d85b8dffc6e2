-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    motorcycle_id,
    event_id,
    title,
    started_at,
    ended_at,
    duration,
    distance_km,
    avg_speed_kmh,
    max_speed_kmh,
    max_lean_deg,
    start_lat,
    start_lon,
    end_lat,
    end_lon,
    is_public,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'rides') }}
