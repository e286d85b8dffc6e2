-- From order to delivery, by month.
select
    starts_on,
    created_orders,
    delivered_orders,
    round(median_fulfillment_time / 86400, 1) as days
from {{ masked('shop_order_funnel') }}
where period = 'month'
order by starts_on desc
