-- Delivered orders of the last days; figures of fewer than five riders are NULL.
select
    day,
    city,
    active_riders,
    delivered_orders,
    avg_delivery_min
from {{ masked('logistics_daily') }}
order by day desc, city
limit 20
