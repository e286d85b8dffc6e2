-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    customer_id,
    status,
    total_amount,
    currency,
    created_at,
    approved_at,
    shipped_at,
    delivered_at,
    estimated_delivery_at,
    updated_at
from {{ source('raw_shop', 'orders') }}
