{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='id',
    touched={'raw_bikenode.rides': 'id'},
    period='month',
    post_hook="delete from {{ this }} where started_at < platform.expired_before('raw_bikenode.rides')",
    group='bikenode',
    indexes=[{'columns': ['rider_month']}, {'columns': ['day']}],
) }}

-- The rides that count: finished, and not held back for review. Measures are numeric, so that a sum does not depend on
-- the order in which rows are read or taken back. What cannot have happened is kept, and left out of every figure.
with rides as (
    select
        id,
        user_id,
        cast(region as text) as region,
        started_at,
        {{ day_of('started_at') }} as day,
        {{ month_of('started_at') }} as month,
        cast(distance_m as numeric(14, 3)) as distance_m,
        cast(elevation_gain_m as numeric(10, 3)) as elevation_gain_m,
        moving_s,
        cast(max_speed_mps as numeric(8, 3)) as max_speed_mps,
        avg_power_w,
        cast(visibility as text) <> 'private' as is_shown,
        coalesce(
            ended_at < started_at or distance_m < 0 or elevation_gain_m < 0 or moving_s < 0
            or (moving_s > 0 and distance_m > 45 * moving_s),
            false
        ) as is_left_out
    from {{ ref('stg_bikenode__rides') }}
    where cast(status as text) = 'completed' and {{ only_touched('id') }}
)

select
    id,
    user_id,
    region,
    started_at,
    day,
    month,
    user_id || ' ' || month as rider_month,
    distance_m,
    elevation_gain_m,
    moving_s,
    cast(case when max_speed_mps between 0 and 45 then max_speed_mps end as numeric(8, 3)) as max_speed_mps,
    avg_power_w,
    is_shown,
    is_left_out
from rides
