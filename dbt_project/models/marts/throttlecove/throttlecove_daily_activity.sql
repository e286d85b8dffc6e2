{{ config(tags=['daily'], group='throttlecove') }}

-- Each table is one row per day before it meets the others; then one stands under the other, and nothing is joined.
with counted as (
    select
        cast(started_at at time zone 'UTC' as date) as day,
        count(*) as rides,
        count(distinct user_id) as riders,
        sum(distance_km) as distance_km,
        0 as posts,
        0 as group_messages,
        0 as new_users
    from {{ ref('stg_throttlecove__rides') }}
    group by day

    union all

    select
        cast(created_at at time zone 'UTC' as date) as day,
        0 as rides,
        0 as riders,
        0 as distance_km,
        count(*) as posts,
        0 as group_messages,
        0 as new_users
    from {{ ref('stg_throttlecove__posts') }}
    group by day

    union all

    select
        cast(sent_at at time zone 'UTC' as date) as day,
        0 as rides,
        0 as riders,
        0 as distance_km,
        0 as posts,
        count(*) as group_messages,
        0 as new_users
    from {{ ref('stg_throttlecove__group_messages') }}
    where withdrawn_at is null
    group by day

    union all

    select
        cast(created_at at time zone 'UTC' as date) as day,
        0 as rides,
        0 as riders,
        0 as distance_km,
        0 as posts,
        0 as group_messages,
        count(*) as new_users
    from {{ ref('stg_throttlecove__users') }}
    group by day
)

select
    day,
    cast(sum(rides) as bigint) as rides,
    cast(sum(riders) as bigint) as riders,
    coalesce(sum(distance_km), 0) as distance_km,
    cast(sum(posts) as bigint) as posts,
    cast(sum(group_messages) as bigint) as group_messages,
    cast(sum(new_users) as bigint) as new_users
from counted
where day between {{ today() }} - 364 and {{ today() }}
group by day
