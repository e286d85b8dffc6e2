-- Riders who changed city, by year.
select
    extract(year from valid_from) as year,
    count(*) as versions
from {{ masked('dim_rider') }}
where version > 1
group by extract(year from valid_from)
order by year
