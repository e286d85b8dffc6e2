{{ config(
    materialized='incremental',
    incremental_strategy='add',
    period='month',
    group='shop',
) }}

select
    shop_id,
    {{ month_of('created_at') }} as month,
    currency,
    {{ shop_sums() }},
    cast(coalesce(sum(sign) filter (where late_s is not null), 0) as bigint) as promised_orders,
    cast(coalesce(sum(sign * late_s) filter (where late_s > 0), 0) as numeric(24, 6)) as late_s,
    cast(coalesce(sum(sign) filter (where value_left_out = 'order missing'), 0) as bigint) as orders_missing,
    cast(coalesce(sum(sign) filter (where not adds_up), 0) as bigint) as orders_not_adding_up,
    cast(sum(sign) as bigint) as source_rows
from {{ signed(ref('fct_shop_order_parts')) }} as parts
group by shop_id, {{ month_of('created_at') }}, currency
