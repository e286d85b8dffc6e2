{{ config(
    tags=['hourly'],
    group='shop',
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='month',
    period='month',
    touched={'raw_shop.orders': month_of('changed.created_at')},
) }}

-- A median cannot be kept as sums: months with a changed order are counted again, each from its own partition.
with orders as (
    select
        {{ month_of('created_at') }} as month,
        {{ day_of('created_at') }} as day,
        cast(status as text) as status,
        approved_at,
        shipped_at,
        extract(epoch from approved_at - created_at) as approval_s,
        extract(epoch from shipped_at - approved_at) as handover_s,
        case
            when cast(status as text) = 'delivered' then extract(epoch from delivered_at - shipped_at)
        end as transit_s,
        case
            when cast(status as text) = 'delivered' then extract(epoch from delivered_at - created_at)
        end as fulfillment_s
    from {{ in_touched_months(ref('stg_shop__orders'), 'created_at') }}
)

select
    month,
    case when grouping(day) = 0 then 'day' else 'month' end as period,
    coalesce(day, month) as starts_on,
    count(*) as created_orders,
    count(approved_at) as approved_orders,
    count(shipped_at) as shipped_orders,
    count(*) filter (where status = 'delivered') as delivered_orders,
    count(*) filter (where status = 'canceled') as canceled_orders,
    count(*) filter (where status = 'unavailable') as unavailable_orders,
    count(*) filter (where status in ('created', 'approved', 'invoiced', 'processing', 'shipped')) as open_orders,
    count(*) filter (
        where coalesce(status, '') not in (
            'created', 'approved', 'invoiced', 'processing', 'shipped', 'delivered', 'canceled', 'unavailable'
        )
    ) as unknown_orders,
    cast(avg(approval_s) filter (where approval_s >= 0) as numeric(14, 2)) as avg_approval_time,
    cast(
        percentile_cont(0.5) within group (order by approval_s) filter (where approval_s >= 0) as numeric(14, 2)
    ) as median_approval_time,
    count(*) filter (where approval_s < 0) as approval_left_out,
    cast(avg(handover_s) filter (where handover_s >= 0) as numeric(14, 2)) as avg_handover_time,
    cast(
        percentile_cont(0.5) within group (order by handover_s) filter (where handover_s >= 0) as numeric(14, 2)
    ) as median_handover_time,
    count(*) filter (where handover_s < 0) as handover_left_out,
    cast(avg(transit_s) filter (where transit_s >= 0) as numeric(14, 2)) as avg_transit_time,
    cast(
        percentile_cont(0.5) within group (order by transit_s) filter (where transit_s >= 0) as numeric(14, 2)
    ) as median_transit_time,
    count(*) filter (where transit_s < 0) as transit_left_out,
    cast(avg(fulfillment_s) filter (where fulfillment_s >= 0) as numeric(14, 2)) as avg_fulfillment_time,
    cast(
        percentile_cont(0.5) within group (order by fulfillment_s) filter (where fulfillment_s >= 0) as numeric(14, 2)
    ) as median_fulfillment_time,
    count(*) filter (where fulfillment_s < 0) as fulfillment_left_out
from orders
group by grouping sets ((month), (month, day))
