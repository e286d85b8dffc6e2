select
    counted.day,
    counted.rides,
    ridden.riders,
    counted.rides_left_out,
    counted.distance_km,
    counted.posts,
    counted.group_messages,
    counted.new_users
from {{ ref('int_throttlecove_days') }} as counted
inner join {{ ref('int_throttlecove_day_riders') }} as ridden on counted.day = ridden.day
where counted.day <= {{ today() }}
