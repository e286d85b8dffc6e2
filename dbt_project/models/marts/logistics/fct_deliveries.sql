{{ config(
    tags=['hourly'],
    group='logistics',
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='order_id',
    touched={'raw_logistics.orders': 'id', 'intermediate.int_order_ratings': 'order_id'},
) }}

with orders as (
    select
        *,
        cast(status as text) = 'delivered' as is_delivered,
        coalesce(picked_at < created_at, false)
        or coalesce(delivered_at < coalesce(picked_at, created_at), false)
        or coalesce(cancelled_at < created_at, false) as runs_backwards
    from {{ ref('stg_logistics__orders') }}
    where {{ only_touched('id') }}
),

ratings as (
    select * from {{ ref('int_order_ratings') }}
    where {{ only_touched('order_id') }}
)

select
    orders.id as order_id,
    orders.rider_id,
    coalesce(orders.order_type, 'not told') as order_type,
    cast(orders.status as text) as status,
    {{ day_of('orders.created_at') }} as day,
    orders.created_at,
    orders.picked_at,
    orders.delivered_at,
    orders.cancelled_at,
    orders.is_delivered,
    cast(
        case when not orders.runs_backwards then extract(epoch from orders.picked_at - orders.created_at) end
        as numeric(16, 6)
    ) as pickup_s,
    cast(
        case when not orders.runs_backwards then extract(epoch from orders.delivered_at - orders.picked_at) end
        as numeric(16, 6)
    ) as ride_s,
    cast(
        case
            when orders.is_delivered and not orders.runs_backwards
                then extract(epoch from orders.delivered_at - orders.created_at)
        end as numeric(16, 6)
    ) as delivery_s,
    orders.runs_backwards or (orders.is_delivered and orders.delivered_at is null) as times_left_out,
    case when orders.distance_m >= 0 then orders.distance_m end as distance_m,
    cast(case when orders.delivery_fee >= 0 then orders.delivery_fee end as numeric(10, 2)) as delivery_fee,
    cast(round(ratings.stars / nullif(ratings.ratings, 0), 2) as numeric(3, 2)) as rating,
    coalesce(ratings.source_rows - ratings.ratings, 0) as ratings_left_out
from orders
left join ratings on orders.id = ratings.order_id
