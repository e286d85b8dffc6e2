{{ config(tags=['daily'], group='throttlecove') }}

select
    counted.day,
    counted.rides,
    coalesce(ridden.riders, 0) as riders,
    counted.rides_left_out,
    counted.distance_km,
    counted.posts,
    counted.group_messages,
    counted.new_users
from {{ ref('int_throttlecove_days') }} as counted
left join {{ ref('int_throttlecove_day_riders') }} as ridden on counted.day = ridden.day
where counted.day between {{ today() }} - 364 and {{ today() }}
