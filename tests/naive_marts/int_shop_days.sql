select
    shop_id,
    cast(created_at at time zone 'Asia/Kolkata' as date) as day,
    currency,
    count(*) as orders,
    count(*) filter (where is_delivered) as delivered_orders,
    sum(part_value) as revenue,
    count(*) as valued_orders,
    sum(fulfillment_s) as fulfillment_s,
    count(fulfillment_s) as timed_orders,
    count(*) filter (where late_s > 0) as late_orders,
    sum(ratings) as ratings,
    sum(stars) as stars,
    sum(ratings_left_out) as ratings_left_out,
    count(*) as source_rows
from {{ ref('fct_shop_order_parts') }}
group by 1, 2, 3
