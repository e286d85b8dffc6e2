{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='order_id',
    touched={'raw_shop.order_items': 'order_id', 'raw_shop.orders': 'id'},
    group='shop',
) }}

-- An order may list a product several times: it is one order of that product.
with items as (
    select
        order_id,
        shop_id,
        product_id,
        min(order_created_at) as order_created_at,
        sum(quantity) as units,
        sum(quantity * unit_price) as revenue,
        bool_or(quantity < 0 or unit_price < 0) as is_negative
    from {{ touched_rows(ref('stg_shop__order_items'), 'order_id') }}
    group by order_id, shop_id, product_id
)

select
    items.order_id,
    items.shop_id,
    items.product_id,
    coalesce(orders.created_at, items.order_created_at) as created_at,
    coalesce(cast(orders.currency as text), 'XXX') as currency,
    coalesce(cast(orders.status as text) = 'delivered', false) as is_delivered,
    coalesce(items.is_negative, true) as is_negative,
    cast(coalesce(items.units, 0) as bigint) as units,
    cast(coalesce(items.revenue, 0) as numeric(14, 2)) as revenue
from items
left join {{ looked_up(
    ref('stg_shop__orders'), {'id': 'items.order_id', 'created_at': 'items.order_created_at'}
) }} as orders
    on items.order_id = orders.id and items.order_created_at = orders.created_at
