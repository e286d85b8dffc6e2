-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    rider_id,
    order_id,
    category,
    status,
    priority,
    subject,
    body,
    tags,
    opened_at,
    resolved_at,
    created_at,
    updated_at
from {{ source('raw_logistics', 'support_tickets') }}
