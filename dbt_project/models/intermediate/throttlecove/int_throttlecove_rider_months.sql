{{ config(
    materialized='incremental',
    incremental_strategy='add',
    period='month',
    group='throttlecove',
) }}

select
    user_id,
    month,
    cast(coalesce(sum(sign) filter (where not is_left_out), 0) as bigint) as rides,
    cast(coalesce(sum(sign) filter (where is_left_out), 0) as bigint) as rides_left_out,
    cast(coalesce(sum(sign * distance_km) filter (where not is_left_out), 0) as numeric(14, 3)) as distance_km,
    cast(coalesce(sum(sign * avg_speed_kmh) filter (where not is_left_out), 0) as numeric(14, 1)) as speeds_kmh,
    cast(
        coalesce(sum(sign) filter (where not is_left_out and avg_speed_kmh is not null), 0) as bigint
    ) as rides_with_speed,
    cast(sum(sign) as bigint) as source_rows
from {{ signed(ref('int_throttlecove_rides')) }} as changed
group by user_id, month
