select
    users.id as user_id,
    users.username,
    cast(users.region as text) as region,
    count(rides.id) as total_rides,
    round(coalesce(sum(rides.distance_m), 0) / 1000, 3) as total_distance_km,
    round(coalesce(sum(rides.elevation_gain_m), 0), 1) as total_elevation_gain_m,
    round(coalesce(sum(rides.moving_s), 0) / 3600.0, 2) as total_moving_hours,
    round(avg(rides.distance_m / nullif(rides.moving_s, 0)) * 3.6, 2) as avg_speed_kmh,
    round(max(rides.max_speed_mps) * 3.6, 2) as max_speed_kmh,
    round(avg(rides.avg_power_w), 0) as avg_power_w,
    round(max(rides.distance_m) / 1000, 3) as longest_ride_km,
    max(cast(rides.started_at as date)) as last_ride_date,
    count(bikes.id) as bikes_in_use
from {{ ref('stg_bikenode__users') }} as users
left join {{ ref('int_bikenode_rides_counted') }} as rides on users.id = rides.user_id
left join {{ ref('stg_bikenode__bikes') }} as bikes on users.id = bikes.user_id
group by users.id, users.username, users.region
