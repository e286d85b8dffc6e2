{{ config(
    tags=['hourly'],
    group='shop',
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='order_id',
    touched={
        'raw_shop.order_items': 'order_id', 'raw_shop.orders': 'id', 'intermediate.int_shop_reviews': 'order_id',
    },
) }}

-- Items and reviews are each many to an order and shop: each is summed before the join, or totals multiply.
with items as (
    select
        order_id,
        shop_id,
        min(order_created_at) as order_created_at,
        sum(quantity * unit_price + freight) as part_value,
        sum(quantity) as pieces,
        bool_or(quantity < 0 or unit_price < 0 or freight < 0) as is_negative
    from {{ touched_rows(ref('stg_shop__order_items'), 'order_id') }}
    group by order_id, shop_id
),

reviews as (
    select
        order_id,
        shop_id,
        count(*) filter (where rating between 1 and 5) as ratings,
        sum(rating) filter (where rating between 1 and 5) as stars,
        count(*) filter (where rating not between 1 and 5) as ratings_left_out
    from {{ touched_rows(ref('int_shop_reviews'), 'order_id') }}
    group by order_id, shop_id
),

-- The item says when its order was made: an order is looked for in the partition of its month only.
parts as (
    select
        items.order_id,
        items.shop_id,
        items.part_value,
        items.pieces,
        items.is_negative,
        orders.id is null as is_missing,
        cast(orders.status as text) as status,
        coalesce(cast(orders.status as text) = 'delivered', false) as is_delivered,
        coalesce(cast(orders.currency as text), 'XXX') as currency,
        coalesce(orders.created_at, items.order_created_at) as created_at,
        orders.delivered_at,
        orders.estimated_delivery_at as promised_at,
        orders.total_amount as order_value,
        sum(items.part_value) over (partition by items.order_id) = orders.total_amount as adds_up
    from items
    left join {{ looked_up(
        ref('stg_shop__orders'), {'id': 'items.order_id', 'created_at': 'items.order_created_at'}
    ) }} as orders
        on items.order_id = orders.id and items.order_created_at = orders.created_at
),

judged as (
    select
        *,
        case
            when is_missing then 'order missing'
            when not is_delivered then 'not delivered'
            when part_value is null then 'no amount'
            when is_negative then 'negative amount'
        end as value_left_out,
        case
            when is_missing then 'order missing'
            when not is_delivered then 'not delivered'
            when delivered_at is null then 'no time of delivery'
            when delivered_at < created_at then 'delivered before it was made'
        end as time_left_out
    from parts
)

select
    judged.order_id,
    judged.shop_id,
    judged.status,
    judged.created_at,
    judged.delivered_at,
    judged.promised_at,
    cast(judged.pieces as bigint) as pieces,
    judged.currency,
    cast(judged.part_value as numeric(14, 2)) as part_value,
    cast(judged.order_value as numeric(14, 2)) as order_value,
    coalesce(judged.adds_up, false) as adds_up,
    judged.is_delivered,
    judged.value_left_out,
    judged.time_left_out,
    cast(case
        when judged.time_left_out is null then extract(epoch from judged.delivered_at - judged.created_at)
    end as numeric(18, 6)) as fulfillment_s,
    cast(case
        when judged.time_left_out is null then extract(epoch from judged.delivered_at - judged.promised_at)
    end as numeric(18, 6)) as late_s,
    coalesce(reviews.ratings, 0) as ratings,
    cast(coalesce(reviews.stars, 0) as bigint) as stars,
    coalesce(reviews.ratings_left_out, 0) as ratings_left_out
from judged
left join reviews on judged.order_id = reviews.order_id and judged.shop_id = reviews.shop_id
