select
    riders.rider_id,
    riders.name,
    riders.city,
    riders.status,
    sum(riders.total_orders) as total_orders,
    sum(riders.completed_orders) as completed_orders,
    sum(riders.cancelled_orders) as cancelled_orders,
    round(coalesce(sum(riders.completed_orders) / nullif(sum(riders.total_orders), 0), 0), 4) as completion_rate,
    sum(riders.total_earnings) as total_earnings,
    avg(riders.avg_rating) as avg_rating,
    round(coalesce(sum(extract(epoch from duty.ended_at - duty.started_at)), 0) / 3600, 2) as on_duty_hours
from {{ ref('int_riders_measured') }} as riders
left join {{ ref('stg_logistics__duty_logs') }} as duty on riders.rider_id = duty.rider_id
group by riders.rider_id, riders.name, riders.city, riders.status
