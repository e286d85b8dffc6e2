select
    shop_id,
    currency,
    row_number() over (partition by shop_id order by sum(orders) desc) = 1 as is_main_currency,
    sum(orders) as orders,
    sum(delivered_orders) as delivered_orders,
    sum(revenue) as revenue
from {{ ref('int_shop_months') }}
group by shop_id, currency
