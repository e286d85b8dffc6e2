-- Share of late deliveries by month: from sums.
select
    month,
    sum(late_orders) as late_orders,
    round(sum(late_orders) / nullif(sum(delivered_orders - orders_left_out), 0), 4) as late_share
from {{ masked('shop_late_deliveries') }}
group by month
order by month desc
