select
    orders.id as order_id,
    orders.rider_id,
    orders.order_type,
    cast(orders.status as text) as status,
    cast(orders.created_at as date) as day,
    orders.created_at,
    orders.picked_at,
    orders.delivered_at,
    orders.cancelled_at,
    orders.delivered_at is not null as is_delivered,
    extract(epoch from orders.picked_at - orders.created_at) as pickup_s,
    extract(epoch from orders.delivered_at - orders.picked_at) as ride_s,
    extract(epoch from orders.delivered_at - orders.created_at) as delivery_s,
    false as times_left_out,
    orders.distance_m,
    orders.delivery_fee,
    ratings.stars as rating,
    0 as ratings_left_out
from {{ ref('stg_logistics__orders') }} as orders
left join {{ ref('int_order_ratings') }} as ratings on orders.id = ratings.order_id
