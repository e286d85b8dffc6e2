-- The busiest hours of the day (UTC).
select
    extract(hour from hour at time zone 'UTC') as hour_of_day,
    sum(orders) as orders
from {{ masked('logistics_hourly_demand') }}
group by extract(hour from hour at time zone 'UTC')
order by orders desc
