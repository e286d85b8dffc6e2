{{ config(tags=['daily'], group='throttlecove') }}

-- Months of sums: they stay when a month's rows have left the warehouse.
with users as (
    select * from {{ ref('stg_throttlecove__users') }}
),

months as (
    select
        user_id,
        cast(sum(rides) as bigint) as total_rides,
        cast(sum(rides_left_out) as bigint) as rides_left_out,
        sum(distance_km) as total_distance,
        sum(speeds_kmh) / nullif(sum(rides_with_speed), 0) as avg_speed
    from {{ ref('int_throttlecove_rider_months') }}
    group by user_id
),

lasts as (
    select
        user_id,
        max(last_started_at) as last_started_at
    from {{ ref('int_throttlecove_rider_lasts') }}
    group by user_id
)

select
    users.id,
    users.username,
    coalesce(months.total_rides, 0) as total_rides,
    coalesce(months.rides_left_out, 0) as rides_left_out,
    coalesce(months.total_distance, 0) as total_distance,
    round(months.avg_speed, 2) as avg_speed,
    {{ day_of('lasts.last_started_at') }} as last_ride_date
from users
left join months on users.id = months.user_id
left join lasts on users.id = lasts.user_id
