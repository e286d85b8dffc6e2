{{ config(group='logistics') }}

-- Lifetime figures of every rider; zeros for one who has done nothing yet.
select
    riders.id as rider_id,
    riders.name,
    riders.city,
    cast(riders.status as text) as status,
    coalesce(totals.orders, 0) as total_orders,
    coalesce(totals.completed_orders, 0) as completed_orders,
    coalesce(totals.cancelled_orders, 0) as cancelled_orders,
    coalesce(totals.earnings, 0) as total_earnings,
    round(coalesce(totals.stars / nullif(totals.ratings, 0), 0), 2) as avg_rating,
    coalesce(totals.ratings_left_out, 0) as ratings_left_out,
    round(coalesce(totals.on_duty_s, 0) / 3600, 2) as on_duty_hours
from {{ ref('stg_logistics__riders') }} as riders
left join {{ ref('int_rider_totals') }} as totals on riders.id = totals.rider_id
