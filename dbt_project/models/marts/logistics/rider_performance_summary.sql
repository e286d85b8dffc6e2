{{ config(tags=['six_hourly'], group='logistics') }}

select
    rider_id,
    name,
    city,
    status,
    total_orders,
    completed_orders,
    cancelled_orders,
    round(coalesce(completed_orders / nullif(cast(total_orders as numeric), 0), 0), 4) as completion_rate,
    total_earnings,
    avg_rating,
    ratings_left_out,
    on_duty_hours
from {{ ref('int_riders_measured') }}
