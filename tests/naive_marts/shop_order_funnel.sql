with days as (
    select
        {{ month_of('created_at') }} as month,
        {{ day_of('created_at') }} as day,
        count(*) as created_orders,
        count(approved_at) as approved_orders,
        count(shipped_at) as shipped_orders,
        count(delivered_at) as delivered_orders,
        count(*) filter (where cast(status as text) = 'canceled') as canceled_orders,
        percentile_cont(0.5) within group (order by extract(epoch from approved_at - created_at)) as median_approval_time,
        avg(extract(epoch from shipped_at - approved_at)) as avg_handover_time,
        avg(extract(epoch from delivered_at - shipped_at)) as avg_transit_time,
        avg(extract(epoch from delivered_at - created_at)) as avg_fulfillment_time,
        percentile_cont(0.5) within group (
            order by extract(epoch from delivered_at - created_at)
        ) as median_fulfillment_time
    from {{ ref('stg_shop__orders') }}
    group by 1, 2
)

select
    month,
    case when day is null then 'month' else 'day' end as period,
    coalesce(day, month) as starts_on,
    sum(created_orders) as created_orders,
    sum(approved_orders) as approved_orders,
    sum(shipped_orders) as shipped_orders,
    sum(delivered_orders) as delivered_orders,
    sum(canceled_orders) as canceled_orders,
    cast(0 as bigint) as unavailable_orders,
    cast(0 as bigint) as open_orders,
    cast(0 as bigint) as unknown_orders,
    round(cast(avg(median_approval_time) as numeric), 2) as median_approval_time,
    cast(0 as bigint) as approval_left_out,
    round(avg(avg_handover_time), 2) as avg_handover_time,
    round(avg(avg_transit_time), 2) as avg_transit_time,
    round(avg(avg_fulfillment_time), 2) as avg_fulfillment_time,
    round(cast(avg(median_fulfillment_time) as numeric), 2) as median_fulfillment_time
from days
group by grouping sets ((month), (month, day))
