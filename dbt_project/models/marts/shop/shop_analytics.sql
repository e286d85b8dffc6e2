{{ config(tags=['hourly'], group='shop') }}

with shops as (
    select * from {{ ref('stg_shop__shops') }}
),

parts as (
    select * from {{ ref('int_shop_orders_split') }}
),

-- One row per shop and delivered order, however many items of the shop the order has.
orders as (
    select
        shop_id,
        count(*) as total_orders,
        avg(part_value) as avg_order_value,
        avg(fulfillment_s) as avg_fulfillment_time
    from parts
    group by shop_id
),

-- A review is of one product of one order in one shop: it is counted once, whatever the items.
reviews as (
    select
        reviews.shop_id,
        avg(reviews.rating) as avg_rating
    from {{ ref('stg_shop__reviews') }} as reviews
    inner join parts on reviews.order_id = parts.order_id and reviews.shop_id = parts.shop_id
    group by reviews.shop_id
)

select
    shops.id as shop_id,
    shops.name,
    coalesce(orders.total_orders, 0) as total_orders,
    round(orders.avg_order_value, 2) as avg_order_value,
    round(orders.avg_fulfillment_time, 2) as avg_fulfillment_time,
    round(coalesce(reviews.avg_rating, 0), 2) as avg_rating
from shops
left join orders on shops.id = orders.shop_id
left join reviews on shops.id = reviews.shop_id
