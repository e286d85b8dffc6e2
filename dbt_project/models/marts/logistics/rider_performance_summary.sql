{{ config(tags=['six_hourly'], group='logistics') }}

with riders as (
    select * from {{ ref('int_riders_measured') }}
),

-- A shift that has not ended has no length yet.
duty as (
    select
        rider_id,
        sum(extract(epoch from ended_at - started_at)) as on_duty_s
    from {{ ref('stg_logistics__duty_logs') }}
    group by rider_id
)

select
    riders.rider_id,
    riders.name,
    riders.city,
    riders.status,
    riders.total_orders,
    riders.completed_orders,
    riders.cancelled_orders,
    round(coalesce(riders.completed_orders / nullif(cast(riders.total_orders as numeric), 0), 0), 4) as completion_rate,
    riders.total_earnings,
    riders.avg_rating,
    round(coalesce(duty.on_duty_s, 0) / 3600, 2) as on_duty_hours
from riders
left join duty on riders.rider_id = duty.rider_id
