{{ config(materialized='incremental', incremental_strategy='add', group='logistics') }}

-- Of all months, also of those whose rows have left the warehouse.
select
    rider_id,
    cast(sum(sign * orders) as bigint) as orders,
    cast(sum(sign * completed_orders) as bigint) as completed_orders,
    cast(sum(sign * cancelled_orders) as bigint) as cancelled_orders,
    cast(sum(sign * earnings) as numeric(20, 2)) as earnings,
    cast(sum(sign * ratings) as bigint) as ratings,
    cast(sum(sign * stars) as numeric(14, 1)) as stars,
    cast(sum(sign * ratings_left_out) as bigint) as ratings_left_out,
    cast(sum(sign * on_duty_s) as numeric(18, 6)) as on_duty_s,
    cast(sum(sign * source_rows) as bigint) as source_rows
from {{ signed(ref('int_rider_months')) }} as months
group by rider_id
