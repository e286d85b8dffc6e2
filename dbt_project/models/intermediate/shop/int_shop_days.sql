{{ config(
    materialized='incremental',
    incremental_strategy='add',
    period='day',
    group='shop',
    post_hook="delete from {{ this }} where day < {{ today() }} - 365",
) }}

-- A year of days: what is older is in int_shop_months.
select
    shop_id,
    {{ day_of('created_at') }} as day,
    currency,
    {{ shop_sums() }},
    cast(sum(sign) as bigint) as source_rows
from {{ signed(ref('fct_shop_order_parts')) }} as parts
where created_at >= cast({{ today() }} - 365 as timestamp) at time zone 'UTC'
group by shop_id, {{ day_of('created_at') }}, currency
