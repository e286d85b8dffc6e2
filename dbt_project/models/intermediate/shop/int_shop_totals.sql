{{ config(group='shop') }}

select
    shop_id,
    currency,
    row_number() over (
        partition by shop_id
        order by currency = 'XXX', sum(delivered_orders) desc, sum(orders) desc, currency
    ) = 1 as is_main_currency,
    sum(orders) as orders,
    sum(delivered_orders) as delivered_orders,
    sum(revenue) as revenue,
    sum(valued_orders) as valued_orders,
    sum(fulfillment_s) as fulfillment_s,
    sum(timed_orders) as timed_orders,
    sum(ratings) as ratings,
    sum(stars) as stars,
    sum(ratings_left_out) as ratings_left_out,
    sum(orders_missing) as orders_missing,
    sum(orders_not_adding_up) as orders_not_adding_up
from {{ ref('int_shop_months') }}
group by shop_id, currency
