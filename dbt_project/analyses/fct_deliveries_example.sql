-- Median time to delivery by type of order.
select
    order_type,
    count(*) as orders,
    round(cast(percentile_cont(0.5) within group (order by delivery_s) / 60 as numeric), 1) as median_minutes
from {{ masked('fct_deliveries') }}
where is_delivered
group by order_type
order by orders desc
