{{ config(tags=['hourly'], group='shop') }}

with currencies as (
    select
        shop_id,
        currency
    from {{ ref('int_shop_totals') }}
    where is_main_currency
),

days as (
    select
        summed.shop_id,
        summed.day,
        min(currencies.currency) as currency,
        sum(summed.orders) as orders,
        sum(summed.delivered_orders) as delivered_orders,
        coalesce(sum(summed.revenue) filter (where summed.currency = currencies.currency), 0) as revenue,
        coalesce(sum(summed.valued_orders) filter (where summed.currency = currencies.currency), 0) as valued_orders,
        sum(summed.fulfillment_s) as fulfillment_s,
        sum(summed.timed_orders) as timed_orders,
        sum(summed.late_orders) as late_orders,
        sum(summed.ratings) as ratings,
        sum(summed.stars) as stars,
        sum(summed.ratings_left_out) as ratings_left_out
    from {{ ref('int_shop_days') }} as summed
    inner join currencies on summed.shop_id = currencies.shop_id
    where summed.day >= {{ today() }} - 365
    group by summed.shop_id, summed.day
    having sum(summed.orders) > 0
)

select
    shop_id,
    day,
    cast(orders as bigint) as orders,
    cast(delivered_orders as bigint) as delivered_orders,
    currency,
    revenue,
    round(revenue / nullif(valued_orders, 0), 2) as avg_order_value,
    round(fulfillment_s / nullif(timed_orders, 0), 2) as avg_fulfillment_time,
    cast(late_orders as bigint) as late_orders,
    round(coalesce(stars / nullif(ratings, 0), 0), 2) as avg_rating,
    cast(delivered_orders - valued_orders as bigint) as values_left_out,
    cast(delivered_orders - timed_orders as bigint) as times_left_out,
    cast(ratings_left_out as bigint) as ratings_left_out
from days
