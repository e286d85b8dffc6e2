{{ config(
    materialized='incremental',
    incremental_strategy='add',
    period='month',
    group='shop',
) }}

select
    shop_id,
    product_id,
    {{ month_of('created_at') }} as month,
    currency,
    cast(coalesce(sum(sign) filter (where is_delivered), 0) as bigint) as orders,
    cast(coalesce(sum(sign) filter (where is_delivered and not is_negative), 0) as bigint) as valued_orders,
    cast(coalesce(sum(sign * units) filter (where is_delivered and not is_negative), 0) as bigint) as units,
    cast(coalesce(sum(sign * revenue) filter (where is_delivered and not is_negative), 0) as numeric(20, 2)) as revenue,
    cast(sum(sign) as bigint) as source_rows
from {{ signed(ref('int_shop_order_products')) }} as sold
group by shop_id, product_id, {{ month_of('created_at') }}, currency
