-- rendered by `drivetrain catalog render`; not edited by hand
select
    ride_id,
    seq,
    recorded_at,
    user_id,
    heart_rate_bpm,
    cadence_rpm,
    power_w,
    temperature_c,
    battery_pct,
    sensor_serial,
    received_at
from {{ source('raw_bikenode', 'sensor_readings') }}
