select
    shop_id,
    product_id,
    {{ month_of('created_at') }} as month,
    currency,
    count(*) as orders,
    count(*) as valued_orders,
    sum(units) as units,
    sum(revenue) as revenue,
    count(*) as source_rows
from {{ ref('int_shop_order_products') }}
group by 1, 2, 3, 4
