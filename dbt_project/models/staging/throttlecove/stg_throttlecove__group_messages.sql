-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    group_id,
    sender_id,
    reply_to_id,
    body,
    attachments,
    sent_at,
    edited_at,
    withdrawn_at,
    updated_at
from {{ source('raw_throttlecove', 'group_messages') }}
