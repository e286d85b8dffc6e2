{{ config(tags=['hourly'], group='shop') }}

with months as (
    select
        shop_id,
        month,
        sum(delivered_orders) as delivered_orders,
        sum(promised_orders) as promised_orders,
        sum(late_orders) as late_orders,
        sum(late_s) as late_s
    from {{ ref('int_shop_months') }}
    group by shop_id, month
    having sum(delivered_orders) > 0
)

select
    shop_id,
    month,
    cast(delivered_orders as bigint) as delivered_orders,
    cast(late_orders as bigint) as late_orders,
    round(late_orders / nullif(promised_orders, 0), 4) as late_share,
    round(late_s / nullif(late_orders, 0) / 86400, 2) as avg_days_late,
    cast(delivered_orders - promised_orders as bigint) as orders_left_out
from months
