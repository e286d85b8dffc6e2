-- Products whose list price changed.
select
    product_id,
    count(distinct list_price) as prices
from {{ masked('dim_product') }}
group by product_id
having count(distinct list_price) > 1
order by prices desc
