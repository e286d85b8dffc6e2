{{ config(group='logistics') }}

-- Orders, ledger entries and ratings are each many to a rider: each is made one row per rider before it is joined, or
-- every total would be multiplied by the rows of the others.
with riders as (
    select * from {{ ref('stg_logistics__riders') }}
),

orders as (
    select
        rider_id,
        count(*) as total_orders,
        count(*) filter (where cast(status as text) = 'delivered') as completed_orders,
        count(*) filter (where cast(status as text) = 'cancelled') as cancelled_orders
    from {{ ref('stg_logistics__orders') }}
    where rider_id is not null
    group by rider_id
),

earnings as (
    select
        rider_id,
        sum(amount) as total_earnings
    from {{ ref('stg_logistics__wallet_ledger') }}
    where cast(entry_type as text) = 'earning'
    group by rider_id
),

ratings as (
    select
        rider_id,
        avg(rating) as avg_rating
    from {{ ref('stg_logistics__ratings') }}
    group by rider_id
)

select
    riders.id as rider_id,
    riders.name,
    riders.city,
    cast(riders.status as text) as status,
    coalesce(orders.total_orders, 0) as total_orders,
    coalesce(orders.completed_orders, 0) as completed_orders,
    coalesce(orders.cancelled_orders, 0) as cancelled_orders,
    coalesce(earnings.total_earnings, 0) as total_earnings,
    round(coalesce(ratings.avg_rating, 0), 2) as avg_rating
from riders
left join orders on riders.id = orders.rider_id
left join earnings on riders.id = earnings.rider_id
left join ratings on riders.id = ratings.rider_id
