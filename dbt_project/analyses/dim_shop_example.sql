-- Shops by place, as they are now.
select
    country,
    city,
    count(*) as shops
from {{ masked('dim_shop') }}
where is_current
group by country, city
order by shops desc
