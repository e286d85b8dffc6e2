select
    days.shop_id,
    days.day,
    sum(days.orders) as orders,
    sum(days.delivered_orders) as delivered_orders,
    min(totals.currency) as currency,
    sum(days.revenue) as revenue,
    round(sum(days.revenue) / nullif(sum(days.valued_orders), 0), 2) as avg_order_value,
    round(sum(days.fulfillment_s) / nullif(sum(days.timed_orders), 0), 2) as avg_fulfillment_time,
    sum(days.late_orders) as late_orders,
    round(coalesce(sum(days.stars) / nullif(sum(days.ratings), 0), 0), 2) as avg_rating,
    cast(0 as bigint) as values_left_out,
    cast(0 as bigint) as times_left_out,
    sum(days.ratings_left_out) as ratings_left_out
from {{ ref('int_shop_days') }} as days
inner join {{ ref('int_shop_totals') }} as totals on days.shop_id = totals.shop_id
where days.day > {{ today() }} - 365
group by days.shop_id, days.day
