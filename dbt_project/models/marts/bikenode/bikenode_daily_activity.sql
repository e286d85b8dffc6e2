{{ config(tags=['daily'], group='bikenode') }}

select
    day,
    region,
    rides,
    riders,
    rides_left_out,
    round(distance_m / 1000, 3) as distance_km,
    round(elevation_gain_m, 1) as elevation_gain_m,
    round(moving_s / 3600.0, 2) as moving_hours
from {{ ref('int_bikenode_days') }}
where day between {{ today() }} - 364 and {{ today() }}
