select
    items.order_id,
    items.shop_id,
    items.product_id,
    orders.created_at,
    cast(orders.currency as text) as currency,
    cast(orders.status as text) = 'delivered' as is_delivered,
    items.unit_price < 0 as is_negative,
    items.quantity as units,
    items.quantity * items.unit_price as revenue
from {{ ref('stg_shop__order_items') }} as items
inner join {{ ref('stg_shop__orders') }} as orders on items.order_id = orders.id
