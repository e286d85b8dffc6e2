-- Revenue by category.
select
    category,
    currency,
    sum(units) as units,
    sum(revenue) as revenue
from {{ masked('shop_product_analytics') }}
group by category, currency
order by revenue desc nulls last
