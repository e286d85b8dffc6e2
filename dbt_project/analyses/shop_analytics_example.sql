-- Shops with the most delivered orders.
select
    name,
    total_orders,
    currency,
    avg_order_value,
    round(avg_fulfillment_time / 86400, 1) as days,
    avg_rating
from {{ masked('shop_analytics') }}
order by total_orders desc
limit 10
