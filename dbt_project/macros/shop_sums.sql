{# What is summed of a shop's parts of orders, whatever the period; of signed rows of `fct_shop_order_parts`. #}
{% macro shop_sums() -%}
    cast(coalesce(sum(sign) filter (where currency <> 'XXX'), 0) as bigint) as orders,
    cast(coalesce(sum(sign) filter (where is_delivered), 0) as bigint) as delivered_orders,
    cast(coalesce(sum(sign * part_value) filter (where value_left_out is null), 0) as numeric(20, 2)) as revenue,
    cast(coalesce(sum(sign) filter (where value_left_out is null), 0) as bigint) as valued_orders,
    cast(coalesce(sum(sign * fulfillment_s), 0) as numeric(24, 6)) as fulfillment_s,
    cast(coalesce(sum(sign) filter (where fulfillment_s is not null), 0) as bigint) as timed_orders,
    cast(coalesce(sum(sign) filter (where late_s > 0), 0) as bigint) as late_orders,
    cast(coalesce(sum(sign * ratings) filter (where is_delivered), 0) as bigint) as ratings,
    cast(coalesce(sum(sign * stars) filter (where is_delivered), 0) as bigint) as stars,
    cast(coalesce(sum(sign * ratings_left_out) filter (where is_delivered), 0) as bigint) as ratings_left_out
{%- endmacro %}
