{{ config(tags=['six_hourly'], group='bikenode') }}

{% set week_start = "cast(date_trunc('week', " ~ today() ~ ") as date)" %}
{% set month_start = "cast(date_trunc('month', " ~ today() ~ ") as date)" %}

-- All time and the month rest on monthly sums; the week on its own rides.
with ridden as (
    select
        'week' as period,
        {{ week_start }} as period_start,
        user_id,
        count(*) as total_rides,
        coalesce(sum(distance_m), 0) as distance_m,
        coalesce(sum(elevation_gain_m), 0) as elevation_gain_m,
        coalesce(sum(distance_m) filter (where moving_s > 0), 0) as timed_distance_m,
        coalesce(sum(moving_s) filter (where distance_m is not null), 0) as timed_moving_s
    from {{ ref('int_bikenode_rides_counted') }}
    where is_shown and not is_left_out and day >= {{ week_start }}
    group by user_id

    union all

    select
        'month' as period,
        month as period_start,
        user_id,
        rides as total_rides,
        distance_m,
        elevation_gain_m,
        timed_distance_m,
        timed_moving_s
    from {{ ref('int_bikenode_rider_months') }}
    where is_shown and rides > 0 and month = {{ month_start }}

    union all

    select
        'all_time' as period,
        null as period_start,
        user_id,
        sum(rides) as total_rides,
        sum(distance_m) as distance_m,
        sum(elevation_gain_m) as elevation_gain_m,
        sum(timed_distance_m) as timed_distance_m,
        sum(timed_moving_s) as timed_moving_s
    from {{ ref('int_bikenode_rider_months') }}
    where is_shown and rides > 0
    group by user_id
),

users as (
    select * from {{ ref('stg_bikenode__users') }}
    where is_active
),

measured as (
    select
        ridden.period,
        ridden.period_start,
        cast(users.region as text) as region,
        users.id as user_id,
        users.username,
        cast(ridden.total_rides as bigint) as total_rides,
        round(ridden.distance_m / 1000, 3) as distance_km,
        round(ridden.elevation_gain_m, 1) as elevation_gain_m,
        -- Of less than 10 km a speed says little: it has none, and no place.
        case
            when ridden.timed_distance_m >= 10000
                then round(ridden.timed_distance_m / nullif(ridden.timed_moving_s, 0) * 3.6, 2)
        end as avg_speed_kmh
    from ridden
    inner join users on ridden.user_id = users.id
)

select
    period,
    period_start,
    region,
    user_id,
    username,
    total_rides,
    distance_km,
    elevation_gain_m,
    avg_speed_kmh,
    rank() over (partition by period, region order by distance_km desc) as distance_rank,
    rank() over (partition by period, region order by elevation_gain_m desc) as elevation_rank,
    case
        when avg_speed_kmh is not null
            then rank() over (partition by period, region order by avg_speed_kmh desc nulls last)
    end as speed_rank,
    rank() over (partition by period order by distance_km desc) as overall_distance_rank,
    rank() over (partition by period order by elevation_gain_m desc) as overall_elevation_rank,
    case
        when avg_speed_kmh is not null
            then rank() over (partition by period order by avg_speed_kmh desc nulls last)
    end as overall_speed_rank
from measured
