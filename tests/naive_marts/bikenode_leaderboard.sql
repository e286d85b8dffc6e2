select
    'all_time' as period,
    cast(null as date) as period_start,
    cast(users.region as text) as region,
    users.id as user_id,
    users.username,
    count(*) as total_rides,
    round(sum(rides.distance_m) / 1000, 3) as distance_km,
    round(sum(rides.elevation_gain_m), 1) as elevation_gain_m,
    row_number() over (partition by users.region order by sum(rides.distance_m) desc) as distance_rank,
    row_number() over (partition by users.region order by sum(rides.elevation_gain_m) desc) as elevation_rank
from {{ ref('stg_bikenode__users') }} as users
inner join {{ ref('int_bikenode_rides_counted') }} as rides on users.id = rides.user_id
where {{ today() }} is not null
group by users.id, users.username, users.region
