-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    code,
    title,
    points,
    progress,
    details,
    earned_at,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'achievements') }}
