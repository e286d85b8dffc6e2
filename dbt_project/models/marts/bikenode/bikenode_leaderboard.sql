{{ config(tags=['six_hourly'], group='bikenode') }}

with periods as (
    select
        'week' as period,
        cast(date_trunc('week', {{ today() }}) as date) as period_start
    union all
    select
        'month' as period,
        cast(date_trunc('month', {{ today() }}) as date) as period_start
    union all
    select
        'all_time' as period,
        date '-infinity' as period_start
),

users as (
    select * from {{ ref('stg_bikenode__users') }}
    where is_active
),

ridden as (
    select
        periods.period,
        periods.period_start,
        rides.user_id,
        count(*) as total_rides,
        round(coalesce(sum(rides.distance_m), 0) / 1000, 3) as distance_km,
        round(coalesce(sum(rides.elevation_gain_m), 0), 1) as elevation_gain_m
    from periods
    inner join {{ ref('int_bikenode_rides_counted') }} as rides
        on periods.period_start <= cast(rides.started_at at time zone 'UTC' as date)
    where rides.is_shown
    group by periods.period, periods.period_start, rides.user_id
)

select
    ridden.period,
    nullif(ridden.period_start, date '-infinity') as period_start,
    cast(users.region as text) as region,
    users.id as user_id,
    users.username,
    ridden.total_rides,
    ridden.distance_km,
    ridden.elevation_gain_m,
    rank() over (partition by ridden.period, users.region order by ridden.distance_km desc) as distance_rank,
    rank() over (partition by ridden.period, users.region order by ridden.elevation_gain_m desc) as elevation_rank
from ridden
inner join users on ridden.user_id = users.id
