{{ config(tags=['hourly'], group='logistics') }}

with riders as (
    select * from {{ ref('int_riders_measured') }}
    where status = 'active'
),

-- What came in today, and was not yet there when the day before ended.
today as (
    select
        rider_id,
        sum(amount) as earnings
    from {{ ref('stg_logistics__wallet_ledger') }}
    where cast(entry_type as text) = 'earning' and created_at >= {{ midnight() }}
    group by rider_id
),

ranked as (
    select
        riders.rider_id,
        riders.name,
        riders.city,
        riders.total_earnings,
        riders.completed_orders,
        riders.avg_rating,
        riders.ratings_left_out,
        rank() over (order by riders.total_earnings desc) as earnings_rank,
        rank() over (partition by riders.city order by riders.total_earnings desc) as city_rank,
        rank() over (order by riders.total_earnings - coalesce(today.earnings, 0) desc) as rank_before,
        rank() over (
            partition by riders.city
            order by riders.total_earnings - coalesce(today.earnings, 0) desc
        ) as city_rank_before
    from riders
    left join today on riders.rider_id = today.rider_id
)

select
    rider_id,
    name,
    city,
    total_earnings,
    completed_orders,
    avg_rating,
    ratings_left_out,
    earnings_rank,
    city_rank,
    rank_before - earnings_rank as rank_movement,
    city_rank_before - city_rank as city_rank_movement
from ranked
