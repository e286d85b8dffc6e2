-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    motorcycle_id,
    service,
    every,
    every_km,
    last_service_date,
    next_service_date,
    next_service_km,
    remind_at,
    is_active,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'maintenance_schedules') }}
