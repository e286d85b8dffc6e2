{{ config(
    materialized='incremental',
    incremental_strategy='add',
    period='month',
    group='bikenode',
) }}

-- Speed is of the rides that have both a distance and a time; mean power is weighted by the time in motion.
select
    user_id,
    month,
    is_shown,
    cast(coalesce(sum(sign) filter (where not is_left_out), 0) as bigint) as rides,
    cast(coalesce(sum(sign) filter (where is_left_out), 0) as bigint) as rides_left_out,
    cast(coalesce(sum(sign * distance_m) filter (where not is_left_out), 0) as numeric(20, 3)) as distance_m,
    cast(
        coalesce(sum(sign * elevation_gain_m) filter (where not is_left_out), 0) as numeric(20, 3)
    ) as elevation_gain_m,
    cast(coalesce(sum(sign * moving_s) filter (where not is_left_out), 0) as bigint) as moving_s,
    cast(
        coalesce(sum(sign * distance_m) filter (where not is_left_out and moving_s > 0), 0) as numeric(20, 3)
    ) as timed_distance_m,
    cast(
        coalesce(sum(sign * moving_s) filter (where not is_left_out and distance_m is not null), 0) as bigint
    ) as timed_moving_s,
    cast(
        coalesce(sum(sign * cast(avg_power_w as bigint) * moving_s) filter (where not is_left_out), 0) as numeric(20, 0)
    ) as work_j,
    cast(
        coalesce(sum(sign * moving_s) filter (where not is_left_out and avg_power_w is not null), 0) as bigint
    ) as powered_moving_s,
    cast(sum(sign) as bigint) as source_rows
from {{ signed(ref('int_bikenode_rides_counted')) }} as changed
group by user_id, month, is_shown
