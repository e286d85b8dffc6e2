select
    months.shop_id,
    months.product_id,
    products.name,
    products.category,
    sum(months.orders) as orders,
    sum(months.units) as units,
    min(totals.currency) as currency,
    sum(months.revenue) as revenue,
    round(sum(months.revenue) / nullif(sum(months.units), 0), 2) as avg_price,
    cast(0 as bigint) as orders_left_out
from {{ ref('int_shop_product_months') }} as months
inner join {{ ref('stg_shop__products') }} as products on months.product_id = products.id
inner join {{ ref('int_shop_totals') }} as totals on months.shop_id = totals.shop_id
group by months.shop_id, months.product_id, products.name, products.category
