{{ config(tags=['hourly'], group='shop') }}

with shops as (
    select * from {{ ref('stg_shop__shops') }}
),

-- Sums of months: no order, item or review is read again.
totals as (
    select
        shop_id,
        min(currency) filter (where is_main_currency) as currency,
        sum(delivered_orders) as total_orders,
        sum(revenue) filter (where is_main_currency) as revenue,
        sum(valued_orders) filter (where is_main_currency) as valued_orders,
        sum(fulfillment_s) as fulfillment_s,
        sum(timed_orders) as timed_orders,
        sum(ratings) as ratings,
        sum(stars) as stars,
        sum(ratings_left_out) as ratings_left_out
    from {{ ref('int_shop_totals') }}
    group by shop_id
)

select
    shops.id as shop_id,
    shops.name,
    cast(coalesce(totals.total_orders, 0) as bigint) as total_orders,
    totals.currency,
    round(totals.revenue / nullif(totals.valued_orders, 0), 2) as avg_order_value,
    round(totals.fulfillment_s / nullif(totals.timed_orders, 0), 2) as avg_fulfillment_time,
    round(coalesce(totals.stars / nullif(totals.ratings, 0), 0), 2) as avg_rating,
    cast(coalesce(totals.total_orders - totals.valued_orders, 0) as bigint) as values_left_out,
    cast(coalesce(totals.total_orders - totals.timed_orders, 0) as bigint) as times_left_out,
    cast(coalesce(totals.ratings_left_out, 0) as bigint) as ratings_left_out
from shops
left join totals on shops.id = totals.shop_id
