-- The parts of a delivered order are together its total_amount: nothing is lost or counted twice on the way to a shop.
{{ config(severity='warn') }}

select
    order_id,
    sum(part_value) as parts,
    min(order_value) as whole
from {{ ref('int_shop_orders_split') }}
group by order_id
having sum(part_value) <> min(order_value)
