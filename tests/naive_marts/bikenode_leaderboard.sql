select
    'all_time' as period,
    cast(null as date) as period_start,
    cast(users.region as text) as region,
    users.id as user_id,
    users.username,
    sum(months.rides) as total_rides,
    round(sum(months.distance_m) / 1000, 3) as distance_km,
    round(sum(months.elevation_gain_m), 1) as elevation_gain_m,
    round(avg(months.timed_distance_m / nullif(months.timed_moving_s, 0)) * 3.6, 2) as avg_speed_kmh,
    row_number() over (partition by users.region order by sum(months.distance_m) desc) as distance_rank,
    row_number() over (partition by users.region order by sum(months.elevation_gain_m) desc) as elevation_rank,
    row_number() over (partition by users.region order by sum(months.timed_distance_m) desc) as speed_rank,
    row_number() over (order by sum(months.distance_m) desc) as overall_distance_rank,
    row_number() over (order by sum(months.elevation_gain_m) desc) as overall_elevation_rank,
    row_number() over (order by sum(months.timed_distance_m) desc) as overall_speed_rank
from {{ ref('stg_bikenode__users') }} as users
inner join {{ ref('int_bikenode_rider_months') }} as months on users.id = months.user_id
left join {{ ref('int_bikenode_rides_counted') }} as rides on users.id = rides.user_id
where {{ today() }} is not null
group by users.id, users.username, users.region
