-- Completion by status: from sums, since a mean of rates weighs every rider alike.
select
    status,
    count(*) as riders,
    sum(total_orders) as orders,
    round(sum(completed_orders) / nullif(sum(total_orders), 0), 4) as completion_rate,
    sum(on_duty_hours) as hours
from {{ masked('rider_performance_summary') }}
group by status
order by riders desc
