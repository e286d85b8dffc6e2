select
    items.order_id,
    items.shop_id,
    cast(orders.status as text) as status,
    orders.created_at,
    orders.delivered_at,
    orders.estimated_delivery_at as promised_at,
    sum(items.quantity) as pieces,
    cast(orders.currency as text) as currency,
    sum(items.quantity * items.unit_price + items.freight) as part_value,
    orders.total_amount as order_value,
    sum(items.quantity * items.unit_price + items.freight) = orders.total_amount as adds_up,
    cast(orders.status as text) = 'delivered' as is_delivered,
    cast(null as text) as value_left_out,
    cast(null as text) as time_left_out,
    extract(epoch from orders.delivered_at - orders.created_at) as fulfillment_s,
    extract(epoch from orders.delivered_at - orders.estimated_delivery_at) as late_s,
    count(reviews.review_id) as ratings,
    coalesce(sum(reviews.rating), 0) as stars,
    cast(0 as bigint) as ratings_left_out
from {{ ref('stg_shop__order_items') }} as items
inner join {{ ref('stg_shop__orders') }} as orders on items.order_id = orders.id
left join {{ ref('int_shop_reviews') }} as reviews
    on items.order_id = reviews.order_id and items.shop_id = reviews.shop_id
group by
    items.order_id, items.shop_id, orders.status, orders.created_at, orders.delivered_at, orders.estimated_delivery_at,
    orders.currency, orders.total_amount
