{{ config(tags=['daily'], group='bikenode') }}

with users as (
    select * from {{ ref('stg_bikenode__users') }}
),

rides as (
    select
        *,
        cast(started_at at time zone 'UTC' as date) as day
    from {{ ref('int_bikenode_rides_counted') }}
)

select
    rides.day,
    cast(users.region as text) as region,
    count(*) as rides,
    count(distinct rides.user_id) as riders,
    round(coalesce(sum(rides.distance_m), 0) / 1000, 3) as distance_km,
    round(coalesce(sum(rides.elevation_gain_m), 0), 1) as elevation_gain_m,
    round(coalesce(sum(rides.moving_s), 0) / 3600.0, 2) as moving_hours
from rides
inner join users on rides.user_id = users.id
where rides.day between {{ today() }} - 364 and {{ today() }}
group by rides.day, users.region
