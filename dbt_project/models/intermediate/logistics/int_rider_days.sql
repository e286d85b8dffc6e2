{{ config(
    materialized='incremental',
    incremental_strategy='add',
    period='day',
    post_hook="delete from {{ this }} where day < {{ today() }} - 365",
    group='logistics',
) }}

-- Deliveries and ledger entries are each many to a rider's day: each is summed before they meet. Rider 0 is nobody: the
-- orders that no rider has. Daily figures are kept for 365 days; what is older is in `int_rider_months`.
with counted as (
    select
        coalesce(rider_id, 0) as rider_id,
        day,
        sum(sign) as orders,
        sum(sign) filter (where is_delivered) as delivered_orders,
        sum(sign) filter (where status = 'cancelled') as cancelled_orders,
        sum(sign) filter (where delivery_s is not null) as timed_orders,
        sum(sign * delivery_s) as delivery_s,
        sum(sign) filter (where times_left_out) as times_left_out,
        sum(sign * distance_m) filter (where is_delivered) as distance_m,
        sum(sign) filter (where rating is not null) as rated_orders,
        sum(sign * rating) as stars,
        sum(sign * ratings_left_out) as ratings_left_out,
        0 as earnings,
        sum(sign) as source_rows
    from {{ signed(ref('fct_deliveries')) }} as deliveries
    where day >= {{ today() }} - 365
    group by coalesce(rider_id, 0), day
    union all
    select
        coalesce(rider_id, 0) as rider_id,
        {{ day_of('created_at') }} as day,
        0 as orders,
        0 as delivered_orders,
        0 as cancelled_orders,
        0 as timed_orders,
        0 as delivery_s,
        0 as times_left_out,
        0 as distance_m,
        0 as rated_orders,
        0 as stars,
        0 as ratings_left_out,
        sum(sign * amount) as earnings,
        sum(sign) as source_rows
    from {{ signed(source('raw_logistics', 'wallet_ledger')) }} as entries
    where cast(entry_type as text) = 'earning' and created_at >= {{ midnight() }} - interval '365 days'
    group by coalesce(rider_id, 0), {{ day_of('created_at') }}
)

select
    rider_id,
    day,
    {% for column in [
        'orders', 'delivered_orders', 'cancelled_orders', 'timed_orders', 'times_left_out', 'distance_m', 'rated_orders',
        'ratings_left_out', 'source_rows'
    ] -%}
        cast(coalesce(sum({{ column }}), 0) as bigint) as {{ column }},
    {% endfor -%}
    cast(coalesce(sum(delivery_s), 0) as numeric(20, 6)) as delivery_s,
    cast(coalesce(sum(stars), 0) as numeric(12, 2)) as stars,
    cast(coalesce(sum(earnings), 0) as numeric(16, 2)) as earnings
from counted
group by rider_id, day
