{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='rider_month',
    touched={'intermediate.int_bikenode_rides_counted': 'rider_month'},
    period='month',
    group='bikenode',
) }}

-- A largest value cannot be taken back as a sum can: months with a change are made anew from their rides.
select
    rider_month,
    user_id,
    month,
    cast(max(max_speed_mps) as numeric(8, 3)) as max_speed_mps,
    cast(max(distance_m) as numeric(14, 3)) as longest_m,
    max(started_at) as last_started_at
from {{ ref('int_bikenode_rides_counted') }}
where not is_left_out and {{ only_touched('rider_month') }}
group by rider_month, user_id, month
