{{ config(group='shop') }}

-- A delivered order, once for each shop that has items in it, with that shop's part of the value: the parts of an order
-- are together its total_amount.
with parts as (
    select
        shop_id,
        order_id,
        sum(quantity * unit_price + freight) as part_value
    from {{ ref('stg_shop__order_items') }}
    group by shop_id, order_id
),

orders as (
    select * from {{ ref('stg_shop__orders') }}
    where cast(status as text) = 'delivered'
)

select
    parts.shop_id,
    parts.order_id,
    parts.part_value,
    orders.total_amount as order_value,
    orders.currency,
    extract(epoch from orders.delivered_at - orders.created_at) as fulfillment_s
from parts
inner join orders on parts.order_id = orders.id
