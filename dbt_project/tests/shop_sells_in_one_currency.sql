-- A shop's mean order value is of one currency.
{{ config(severity='warn') }}

select
    shop_id,
    count(distinct currency) as currencies
from {{ ref('int_shop_orders_split') }}
group by shop_id
having count(distinct currency) > 1
