select
    users.id as user_id,
    users.username,
    cast(users.region as text) as region,
    coalesce(sum(months.rides), 0) as total_rides,
    coalesce(sum(months.rides_left_out), 0) as rides_left_out,
    round(coalesce(sum(months.distance_m), 0) / 1000, 3) as total_distance_km,
    round(coalesce(sum(months.elevation_gain_m), 0), 1) as total_elevation_gain_m,
    round(coalesce(sum(months.moving_s), 0) / 3600, 2) as total_moving_hours,
    round(sum(months.timed_distance_m) / nullif(sum(months.timed_moving_s), 0) * 3.6, 2) as avg_speed_kmh,
    round(max(bests.max_speed_mps) * 3.6, 2) as max_speed_kmh,
    round(sum(months.work_j) / nullif(sum(months.powered_moving_s), 0), 0) as avg_power_w,
    round(max(bests.longest_m) / 1000, 3) as longest_ride_km,
    {{ day_of('max(bests.last_started_at)') }} as last_ride_date,
    count(bikes.id) as bikes_in_use
from {{ ref('stg_bikenode__users') }} as users
left join {{ ref('int_bikenode_rider_months') }} as months on users.id = months.user_id
left join {{ ref('int_bikenode_rider_bests') }} as bests on users.id = bests.user_id
left join {{ ref('stg_bikenode__bikes') }} as bikes on users.id = bikes.user_id and bikes.retired_on is null
group by users.id, users.username, users.region
