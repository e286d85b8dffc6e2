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
    cast(coalesce(sum(sign) filter (where currency <> 'XXX'), 0) as bigint) as orders,
    cast(coalesce(sum(sign) filter (where is_delivered), 0) as bigint) as delivered_orders,
    cast(coalesce(sum(sign * part_value) filter (where value_left_out is null), 0) as numeric(20, 2)) as revenue,
    cast(coalesce(sum(sign) filter (where value_left_out is null), 0) as bigint) as valued_orders,
    cast(coalesce(sum(sign * fulfillment_s), 0) as numeric(24, 6)) as fulfillment_s,
    cast(coalesce(sum(sign) filter (where fulfillment_s is not null), 0) as bigint) as timed_orders,
    cast(coalesce(sum(sign) filter (where late_s > 0), 0) as bigint) as late_orders,
    cast(coalesce(sum(sign * ratings) filter (where is_delivered), 0) as bigint) as ratings,
    cast(coalesce(sum(sign * stars) filter (where is_delivered), 0) as bigint) as stars,
    cast(coalesce(sum(sign * ratings_left_out) filter (where is_delivered), 0) as bigint) as ratings_left_out,
    cast(sum(sign) as bigint) as source_rows
from {{ signed(ref('fct_shop_order_parts')) }} as parts
where created_at >= cast({{ today() }} - 365 as timestamp) at time zone 'UTC'
group by shop_id, {{ day_of('created_at') }}, currency
