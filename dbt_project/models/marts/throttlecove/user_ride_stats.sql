{{ config(tags=['daily'], group='throttlecove') }}

with users as (
    select * from {{ ref('stg_throttlecove__users') }}
),

rides as (
    select
        user_id,
        count(*) as total_rides,
        sum(distance_km) as total_distance,
        avg(avg_speed_kmh) as avg_speed,
        max(started_at) as last_started_at
    from {{ ref('stg_throttlecove__rides') }}
    group by user_id
)

select
    users.id,
    users.username,
    coalesce(rides.total_rides, 0) as total_rides,
    coalesce(rides.total_distance, 0) as total_distance,
    round(rides.avg_speed, 2) as avg_speed,
    cast(rides.last_started_at at time zone 'UTC' as date) as last_ride_date
from users
left join rides on users.id = rides.user_id
