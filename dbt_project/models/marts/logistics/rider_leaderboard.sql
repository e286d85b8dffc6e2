{{ config(tags=['hourly'], group='logistics') }}

select
    rider_id,
    name,
    city,
    total_earnings,
    completed_orders,
    avg_rating
from {{ ref('int_riders_measured') }}
where status = 'active'
