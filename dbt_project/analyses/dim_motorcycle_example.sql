-- Machines in use by make.
select
    make,
    count(*) as machines
from {{ masked('dim_motorcycle') }}
where is_current and sold_on is null
group by make
order by machines desc
