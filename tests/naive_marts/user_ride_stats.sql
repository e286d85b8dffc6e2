select
    users.id,
    users.username,
    count(*) as total_rides,
    sum(rides.distance_km) as total_distance,
    round(avg(rides.avg_speed_kmh), 2) as avg_speed,
    max(cast(rides.started_at as date)) as last_ride_date
from {{ ref('stg_throttlecove__users') }} as users
left join {{ ref('stg_throttlecove__rides') }} as rides on users.id = rides.user_id
group by users.id, users.username
