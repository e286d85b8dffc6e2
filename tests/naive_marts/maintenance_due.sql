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
    records.performed_on as last_performed_on,
    count(*) over (partition by due.id) as times_performed
from {{ ref('stg_throttlecove__maintenance_schedules') }} as due
inner join {{ ref('stg_throttlecove__motorcycles') }} as motorcycles on due.motorcycle_id = motorcycles.id
left join {{ ref('stg_throttlecove__maintenance_records') }} as records on due.motorcycle_id = records.motorcycle_id
where due.next_service_date <= {{ today() }} + 30
