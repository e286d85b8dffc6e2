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
    cast(coalesce(sum(sign) filter (where currency <> 'XXX'), 0) as bigint) as orders,
    cast(coalesce(sum(sign) filter (where is_delivered), 0) as bigint) as delivered_orders,
    cast(coalesce(sum(sign * part_value) filter (where value_left_out is null), 0) as numeric(20, 2)) as revenue,
    cast(coalesce(sum(sign) filter (where value_left_out is null), 0) as bigint) as valued_orders,
    cast(coalesce(sum(sign * fulfillment_s), 0) as numeric(24, 6)) as fulfillment_s,
    cast(coalesce(sum(sign) filter (where fulfillment_s is not null), 0) as bigint) as timed_orders,
    cast(coalesce(sum(sign) filter (where late_s is not null), 0) as bigint) as promised_orders,
    cast(coalesce(sum(sign) filter (where late_s > 0), 0) as bigint) as late_orders,
    cast(coalesce(sum(sign * late_s) filter (where late_s > 0), 0) as numeric(24, 6)) as late_s,
    cast(coalesce(sum(sign * ratings) filter (where is_delivered), 0) as bigint) as ratings,
    cast(coalesce(sum(sign * stars) filter (where is_delivered), 0) as bigint) as stars,
    cast(coalesce(sum(sign * ratings_left_out) filter (where is_delivered), 0) as bigint) as ratings_left_out,
    cast(coalesce(sum(sign) filter (where value_left_out = 'order missing'), 0) as bigint) as orders_missing,
    cast(coalesce(sum(sign) filter (where not adds_up), 0) as bigint) as orders_not_adding_up,
    cast(sum(sign) as bigint) as source_rows
from {{ signed(ref('fct_shop_order_parts')) }} as parts
group by shop_id, {{ month_of('created_at') }}, currency
