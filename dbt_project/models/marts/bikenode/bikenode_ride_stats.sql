{{ config(tags=['daily'], group='bikenode') }}

-- Rides and bikes are each many to a user: each is one row per user before they meet. Rides come by month, and stay
-- when a month's rows have left the warehouse.
with users as (
    select * from {{ ref('stg_bikenode__users') }}
),

months as (
    select
        user_id,
        cast(sum(rides) as bigint) as total_rides,
        cast(sum(rides_left_out) as bigint) as rides_left_out,
        sum(distance_m) as distance_m,
        sum(elevation_gain_m) as elevation_gain_m,
        sum(moving_s) as moving_s,
        sum(timed_distance_m) as timed_distance_m,
        sum(timed_moving_s) as timed_moving_s,
        sum(work_j) as work_j,
        sum(powered_moving_s) as powered_moving_s
    from {{ ref('int_bikenode_rider_months') }}
    group by user_id
),

bests as (
    select
        user_id,
        max(max_speed_mps) as max_speed_mps,
        max(longest_m) as longest_m,
        max(last_started_at) as last_started_at
    from {{ ref('int_bikenode_rider_bests') }}
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
    coalesce(months.total_rides, 0) as total_rides,
    coalesce(months.rides_left_out, 0) as rides_left_out,
    round(coalesce(months.distance_m, 0) / 1000, 3) as total_distance_km,
    round(coalesce(months.elevation_gain_m, 0), 1) as total_elevation_gain_m,
    round(coalesce(months.moving_s, 0) / 3600, 2) as total_moving_hours,
    round(months.timed_distance_m / nullif(months.timed_moving_s, 0) * 3.6, 2) as avg_speed_kmh,
    round(bests.max_speed_mps * 3.6, 2) as max_speed_kmh,
    round(months.work_j / nullif(months.powered_moving_s, 0), 0) as avg_power_w,
    round(bests.longest_m / 1000, 3) as longest_ride_km,
    {{ day_of('bests.last_started_at') }} as last_ride_date,
    coalesce(bikes.bikes_in_use, 0) as bikes_in_use
from users
left join months on users.id = months.user_id
left join bests on users.id = bests.user_id
left join bikes on users.id = bikes.user_id
