{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='day',
    touched={'intermediate.int_bikenode_rides_counted': 'day'},
    period='day',
    post_hook="delete from {{ this }} where day < {{ today() }} - 364",
    group='bikenode',
) }}

-- Different riders cannot be summed: days with a change are made anew from their rides. Days are kept for a year.
select
    day,
    region,
    cast(count(*) filter (where not is_left_out) as bigint) as rides,
    cast(count(distinct user_id) filter (where not is_left_out) as bigint) as riders,
    cast(count(*) filter (where is_left_out) as bigint) as rides_left_out,
    cast(coalesce(sum(distance_m) filter (where not is_left_out), 0) as numeric(20, 3)) as distance_m,
    cast(coalesce(sum(elevation_gain_m) filter (where not is_left_out), 0) as numeric(20, 3)) as elevation_gain_m,
    cast(coalesce(sum(moving_s) filter (where not is_left_out), 0) as bigint) as moving_s
from {{ ref('int_bikenode_rides_counted') }}
where day >= {{ today() }} - 364 and {{ only_touched('day') }}
group by day, region
