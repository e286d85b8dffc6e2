{{ config(group='logistics') }}

-- Lifetime figures of every rider, from the months: they stay when a month's rows have left the warehouse.
with riders as (
    select * from {{ ref('stg_logistics__riders') }}
),

months as (
    select
        rider_id,
        cast(sum(orders) as bigint) as total_orders,
        cast(sum(completed_orders) as bigint) as completed_orders,
        cast(sum(cancelled_orders) as bigint) as cancelled_orders,
        sum(earnings) as total_earnings,
        sum(ratings) as ratings,
        sum(stars) as stars,
        cast(sum(ratings_left_out) as bigint) as ratings_left_out,
        sum(on_duty_s) as on_duty_s
    from {{ ref('int_rider_months') }}
    group by rider_id
)

select
    riders.id as rider_id,
    riders.name,
    riders.city,
    cast(riders.status as text) as status,
    coalesce(months.total_orders, 0) as total_orders,
    coalesce(months.completed_orders, 0) as completed_orders,
    coalesce(months.cancelled_orders, 0) as cancelled_orders,
    coalesce(months.total_earnings, 0) as total_earnings,
    round(coalesce(months.stars / nullif(months.ratings, 0), 0), 2) as avg_rating,
    coalesce(months.ratings_left_out, 0) as ratings_left_out,
    round(coalesce(months.on_duty_s, 0) / 3600, 2) as on_duty_hours
from riders
left join months on riders.id = months.rider_id
