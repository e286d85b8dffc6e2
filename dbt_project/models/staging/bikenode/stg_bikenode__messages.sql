-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    thread_id,
    sender_id,
    recipient_id,
    body,
    read_at,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'messages') }}
