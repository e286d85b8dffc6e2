-- What is due within 30 days, by kind of service.
select
    service,
    count(*) as due,
    count(*) filter (where is_overdue) as overdue
from {{ masked('maintenance_due') }}
group by service
order by due desc
