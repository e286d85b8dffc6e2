{{ config(tags=['daily'], group='bikenode') }}

with users as (
    select * from {{ ref('stg_bikenode__users') }}
),

rides as (
    select
        user_id,
        count(*) as total_rides,
        sum(distance_m) as distance_m,
        sum(elevation_gain_m) as elevation_gain_m,
        sum(moving_s) as moving_s,
        -- Speed is of the rides that have both a distance and a time.
        sum(distance_m) filter (where moving_s > 0) as timed_distance_m,
        sum(moving_s) filter (where distance_m is not null) as timed_moving_s,
        max(max_speed_mps) as max_speed_mps,
        max(distance_m) as longest_m,
        sum(avg_power_w * moving_s) / nullif(sum(moving_s) filter (where avg_power_w is not null), 0) as avg_power_w,
        max(started_at) as last_started_at
    from {{ ref('int_bikenode_rides_counted') }}
    group by user_id
),

bikes as (
    select
        user_id,
        count(*) as bikes_in_use
    from {{ ref('stg_bikenode__bikes') }}
    where retired_on is null
    group by user_id
)

select
    users.id as user_id,
    users.username,
    cast(users.region as text) as region,
    coalesce(rides.total_rides, 0) as total_rides,
    round(coalesce(rides.distance_m, 0) / 1000, 3) as total_distance_km,
    round(coalesce(rides.elevation_gain_m, 0), 1) as total_elevation_gain_m,
    round(coalesce(rides.moving_s, 0) / 3600.0, 2) as total_moving_hours,
    round(rides.timed_distance_m / nullif(rides.timed_moving_s, 0) * 3.6, 2) as avg_speed_kmh,
    round(rides.max_speed_mps * 3.6, 2) as max_speed_kmh,
    round(rides.avg_power_w, 0) as avg_power_w,
    round(rides.longest_m / 1000, 3) as longest_ride_km,
    cast(rides.last_started_at at time zone 'UTC' as date) as last_ride_date,
    coalesce(bikes.bikes_in_use, 0) as bikes_in_use
from users
left join rides on users.id = rides.user_id
left join bikes on users.id = bikes.user_id
