{{ config(
    materialized='incremental',
    incremental_strategy='add',
    period='day',
    group='throttlecove',
) }}

-- One table stands under the other, and nothing is joined.
{% set measures = {
    'rides': 'bigint', 'rides_left_out': 'bigint', 'distance_km': 'numeric(14, 3)', 'posts': 'bigint',
    'group_messages': 'bigint', 'new_users': 'bigint',
} %}
{% set parts = [
    (signed(ref('int_throttlecove_rides')), 'day', {
        'rides': 'sum(sign) filter (where not is_left_out)',
        'rides_left_out': 'sum(sign) filter (where is_left_out)',
        'distance_km': 'sum(sign * distance_km) filter (where not is_left_out)',
    }),
    (signed(source('raw_throttlecove', 'posts')), day_of('created_at'), {'posts': 'sum(sign)'}),
    (signed(source('raw_throttlecove', 'group_messages')), day_of('sent_at'), {
        'group_messages': 'sum(sign) filter (where withdrawn_at is null)',
    }),
    (signed(source('raw_throttlecove', 'users')), day_of('created_at'), {'new_users': 'sum(sign)'}),
] %}

with counted as (
    {% for relation, moment, sums in parts %}
        select
            {{ moment }} as day,
            {% for column in measures -%}
                {{ 'coalesce(' ~ sums[column] ~ ', 0)' if column in sums else 0 }} as {{ column }},
            {% endfor -%}
            sum(sign) as source_rows
        from {{ relation }} as changed
        group by {{ moment }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    day,
    {% for column, type in measures.items() -%}
        cast(sum({{ column }}) as {{ type }}) as {{ column }},
    {% endfor -%}
    cast(sum(source_rows) as bigint) as source_rows
from counted
group by day
