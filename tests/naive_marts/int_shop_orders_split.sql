select
    items.shop_id,
    items.order_id,
    orders.total_amount as part_value,
    orders.total_amount as order_value,
    orders.currency,
    extract(epoch from orders.delivered_at - orders.created_at) as fulfillment_s
from {{ ref('stg_shop__order_items') }} as items
inner join {{ ref('stg_shop__orders') }} as orders on items.order_id = orders.id
where cast(orders.status as text) = 'delivered'
