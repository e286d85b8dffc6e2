{{ config(group='bikenode') }}

-- The rides that count: finished, and not held back for review. Sums are of numeric, whose result does not depend on
-- the order in which rows are read, as that of double precision does.
select
    id,
    user_id,
    started_at,
    cast(distance_m as numeric) as distance_m,
    cast(elevation_gain_m as numeric) as elevation_gain_m,
    moving_s,
    cast(max_speed_mps as numeric) as max_speed_mps,
    avg_power_w,
    cast(visibility as text) <> 'private' as is_shown
from {{ ref('stg_bikenode__rides') }}
where cast(status as text) = 'completed'
