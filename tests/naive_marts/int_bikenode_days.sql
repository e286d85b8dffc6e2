select
    day,
    region,
    count(*) as rides,
    count(user_id) as riders,
    0 as rides_left_out,
    sum(distance_m) as distance_m,
    sum(elevation_gain_m) as elevation_gain_m,
    sum(moving_s) as moving_s
from {{ ref('int_bikenode_rides_counted') }}
where {{ today() }} is not null
group by day, region
