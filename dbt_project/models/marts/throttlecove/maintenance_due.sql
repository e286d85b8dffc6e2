{{ config(tags=['daily'], group='throttlecove') }}

with due as (
    select *
    from {{ ref('stg_throttlecove__maintenance_schedules') }}
    where is_active and next_service_date <= {{ today() }} + 30
),

motorcycles as (
    select *
    from {{ ref('stg_throttlecove__motorcycles') }}
    where sold_on is null or sold_on > {{ today() }}
),

-- Upkeep recorded since: one row per machine and service, however often it was done.
records as (
    select
        motorcycle_id,
        service,
        count(*) as times_performed,
        max(performed_on) as last_performed_on
    from {{ ref('stg_throttlecove__maintenance_records') }}
    group by motorcycle_id, service
)

select
    due.id as schedule_id,
    motorcycles.id as motorcycle_id,
    motorcycles.user_id,
    motorcycles.make,
    motorcycles.model,
    cast(due.service as text) as service,
    due.next_service_date,
    due.next_service_date - {{ today() }} as days_until_due,
    due.next_service_date < {{ today() }} as is_overdue,
    records.last_performed_on,
    coalesce(records.times_performed, 0) as times_performed
from due
inner join motorcycles on due.motorcycle_id = motorcycles.id
left join records on due.motorcycle_id = records.motorcycle_id and due.service = records.service
