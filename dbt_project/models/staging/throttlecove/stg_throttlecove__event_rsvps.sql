-- rendered by `drivetrain catalog render`; not edited by hand
select
    event_id,
    user_id,
    status,
    pillion,
    note,
    responded_at,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'event_rsvps') }}
