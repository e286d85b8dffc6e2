-- Products whose list price changed most often, and what it was.
select
    product_id,
    count(*) as versions,
    min(list_price) as lowest,
    max(list_price) as highest
from {{ masked('dim_product') }}
group by product_id
order by versions desc, product_id
limit 10
