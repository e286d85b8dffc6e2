-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    station,
    observed_at,
    lat,
    lon,
    temperature_c,
    humidity_pct,
    wind_speed_mps,
    wind_direction_deg,
    precipitation_mm,
    condition,
    provider,
    received_at
from {{ source('raw_bikenode', 'weather_observations') }}
