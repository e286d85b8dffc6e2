-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    ride_id,
    kind,
    status,
    message,
    lat,
    lon,
    impact_g,
    contacts_notified,
    raised_at,
    acknowledged_at,
    resolved_at,
    response_time,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'emergency_alerts') }}
