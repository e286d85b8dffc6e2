-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    logged_at,
    user_id,
    ip,
    region,
    service,
    method,
    path,
    status,
    duration_ms,
    bytes_sent,
    user_agent,
    request_id
from {{ source('raw_bikenode', 'access_logs') }}
