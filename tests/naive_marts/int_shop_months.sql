select
    shop_id,
    cast(date_trunc('month', created_at at time zone 'Asia/Kolkata') as date) as month,
    currency,
    count(*) as orders,
    count(*) as delivered_orders,
    sum(part_value) as revenue,
    count(*) as valued_orders,
    sum(fulfillment_s) as fulfillment_s,
    count(fulfillment_s) as timed_orders,
    count(late_s) as promised_orders,
    count(*) filter (where late_s >= 0) as late_orders,
    sum(late_s) as late_s,
    sum(ratings) as ratings,
    sum(stars) as stars,
    sum(ratings_left_out) as ratings_left_out,
    cast(0 as bigint) as orders_missing,
    count(*) filter (where not adds_up) as orders_not_adding_up,
    count(*) as source_rows
from {{ ref('fct_shop_order_parts') }}
group by 1, 2, 3
