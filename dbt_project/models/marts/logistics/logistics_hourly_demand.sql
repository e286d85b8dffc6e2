{{ config(
    tags=['hourly'],
    group='logistics',
    materialized='incremental',
    incremental_strategy='add',
    period='hour',
    post_hook="delete from {{ this }} where hour < {{ midnight() }} - interval '365 days'",
) }}

-- By the clock of India, which is half an hour off UTC's: an hour of UTC would lie across two of its hours.
select
    date_trunc('hour', created_at, 'Asia/Kolkata') as hour,
    order_type,
    cast(sum(sign) as bigint) as orders,
    cast(coalesce(sum(sign) filter (where is_delivered), 0) as bigint) as delivered_orders,
    cast(coalesce(sum(sign) filter (where status = 'cancelled'), 0) as bigint) as cancelled_orders,
    cast(sum(sign) as bigint) as source_rows
from {{ signed(ref('fct_deliveries')) }} as deliveries
where date_trunc('hour', created_at, 'Asia/Kolkata') >= {{ midnight() }} - interval '365 days'
group by date_trunc('hour', created_at, 'Asia/Kolkata'), order_type
