{{ config(tags=['six_hourly'], group='shop') }}

with currencies as (
    select
        shop_id,
        currency
    from {{ ref('int_shop_totals') }}
    where is_main_currency
),

sold as (
    select
        months.shop_id,
        months.product_id,
        min(currencies.currency) as currency,
        sum(months.orders) as orders,
        coalesce(sum(months.valued_orders) filter (where months.currency = currencies.currency), 0) as valued_orders,
        coalesce(sum(months.units) filter (where months.currency = currencies.currency), 0) as units,
        coalesce(sum(months.revenue) filter (where months.currency = currencies.currency), 0) as revenue
    from {{ ref('int_shop_product_months') }} as months
    inner join currencies on months.shop_id = currencies.shop_id
    group by months.shop_id, months.product_id
    having sum(months.orders) > 0
)

select
    sold.shop_id,
    sold.product_id,
    products.name,
    products.category,
    cast(sold.orders as bigint) as orders,
    cast(sold.units as bigint) as units,
    sold.currency,
    sold.revenue,
    round(sold.revenue / nullif(sold.units, 0), 2) as avg_price,
    cast(sold.orders - sold.valued_orders as bigint) as orders_left_out
from sold
left join {{ ref('stg_shop__products') }} as products on sold.product_id = products.id
