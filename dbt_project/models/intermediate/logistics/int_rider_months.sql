{{ config(
    materialized='incremental',
    incremental_strategy='add',
    period='month',
    group='logistics',
) }}

-- Orders, ledger entries, ratings and shifts are each many to a rider: each is summed by rider and month, and the sums
-- stand under one another. Joined before they are summed, every total would be multiplied by the rows of the others.
{% set measures = {
    'orders': 'bigint', 'completed_orders': 'bigint', 'cancelled_orders': 'bigint', 'earnings': 'numeric(20, 2)',
    'ratings': 'bigint', 'stars': 'numeric(14, 1)', 'ratings_left_out': 'bigint', 'on_duty_s': 'numeric(18, 6)',
} %}
{% set parts = [
    ('orders', 'created_at', {
        'orders': 'sum(sign)',
        'completed_orders': "sum(sign) filter (where cast(status as text) = 'delivered')",
        'cancelled_orders': "sum(sign) filter (where cast(status as text) = 'cancelled')",
    }),
    ('wallet_ledger', 'created_at', {
        'earnings': "sum(sign * amount) filter (where cast(entry_type as text) = 'earning')",
    }),
    ('ratings', 'created_at', {
        'ratings': 'sum(sign) filter (where rating between 1 and 5)',
        'stars': 'sum(sign * rating) filter (where rating between 1 and 5)',
        'ratings_left_out': 'sum(sign) filter (where rating not between 1 and 5)',
    }),
    ('duty_logs', 'started_at', {
        'on_duty_s': 'sum(sign * extract(epoch from ended_at - started_at)) filter (where ended_at >= started_at)',
    }),
] %}

with counted as (
    {% for table, moment, sums in parts %}
        select
            rider_id,
            {{ month_of(moment) }} as month,
            {% for column in measures -%}
                {{ 'coalesce(' ~ sums[column] ~ ', 0)' if column in sums else 0 }} as {{ column }},
            {% endfor -%}
            sum(sign) as source_rows
        from {{ signed(source('raw_logistics', table)) }} as changed
        where rider_id is not null
        group by rider_id, {{ month_of(moment) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    rider_id,
    month,
    {% for column, type in measures.items() -%}
        cast(sum({{ column }}) as {{ type }}) as {{ column }},
    {% endfor -%}
    cast(sum(source_rows) as bigint) as source_rows
from counted
group by rider_id, month
