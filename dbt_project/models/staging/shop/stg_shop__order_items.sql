-- rendered by `drivetrain catalog render`; not edited by hand
select
    order_id,
    item_no,
    order_created_at,
    shop_id,
    product_id,
    quantity,
    unit_price,
    freight,
    shipping_limit_at,
    created_at,
    updated_at
from {{ source('raw_shop', 'order_items') }}
