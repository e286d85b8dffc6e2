-- The last days of the largest shop, as its dashboard reads them.
select
    day,
    orders,
    delivered_orders,
    revenue,
    avg_order_value
from {{ masked('shop_analytics_daily') }}
where shop_id = (select s.shop_id from {{ masked('shop_analytics') }} as s order by s.total_orders desc limit 1)
order by day desc
limit 10
