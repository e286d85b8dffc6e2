-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    order_id,
    shop_id,
    product_id,
    customer_id,
    rating,
    title,
    body,
    reply,
    is_hidden,
    created_at,
    updated_at
from {{ source('raw_shop', 'reviews') }}
