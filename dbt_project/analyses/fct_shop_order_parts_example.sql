-- What each currency and state is worth.
select
    currency,
    is_delivered,
    count(*) as parts,
    count(distinct order_id) as orders,
    sum(part_value) as value
from {{ masked('fct_shop_order_parts') }}
group by currency, is_delivered
order by parts desc
