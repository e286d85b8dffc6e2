{{ config(tags=['hourly'], group='logistics') }}

-- Each version of a rider holds from its beginning to the next one's: exactly one at the end of every day.
with versions as (
    select
        rider_id,
        city,
        case when version > 1 then valid_from end as from_moment,
        lead(valid_from) over (partition by rider_id order by version) as to_moment
    from {{ ref('dim_rider') }}
),

rider_days as (
    select
        *,
        cast(day + 1 as timestamp) at time zone 'UTC' as day_end
    from {{ ref('int_rider_days') }}
    where day >= {{ today() }} - 365
)

select
    rider_days.day,
    case when rider_days.rider_id = 0 then 'no rider' else coalesce(versions.city, 'not known') end as city,
    count(*) filter (where rider_days.rider_id > 0 and rider_days.orders > 0) as active_riders,
    cast(sum(rider_days.orders) as bigint) as orders,
    cast(sum(rider_days.delivered_orders) as bigint) as delivered_orders,
    cast(sum(rider_days.cancelled_orders) as bigint) as cancelled_orders,
    sum(rider_days.earnings) as earnings,
    cast(sum(rider_days.distance_m) as bigint) as distance_m,
    cast(sum(rider_days.timed_orders) as bigint) as timed_orders,
    round(sum(rider_days.delivery_s) / nullif(sum(rider_days.timed_orders), 0) / 60, 2) as avg_delivery_min,
    cast(sum(rider_days.times_left_out) as bigint) as times_left_out,
    cast(sum(rider_days.rated_orders) as bigint) as rated_orders,
    round(coalesce(sum(rider_days.stars) / nullif(sum(rider_days.rated_orders), 0), 0), 2) as avg_rating,
    cast(sum(rider_days.ratings_left_out) as bigint) as ratings_left_out
from rider_days
left join versions
    on
        rider_days.rider_id = versions.rider_id
        and (versions.from_moment is null or rider_days.day_end > versions.from_moment)
        and (versions.to_moment is null or rider_days.day_end <= versions.to_moment)
group by rider_days.day, case when rider_days.rider_id = 0 then 'no rider' else coalesce(versions.city, 'not known') end
