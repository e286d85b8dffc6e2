-- Riders and versions of them, by city: more versions than riders where somebody's city or status changed.
select
    city,
    count(distinct rider_id) as riders,
    count(*) as versions
from {{ masked('dim_rider') }}
group by city
order by versions desc, city
