{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='order_id',
    touched={'raw_logistics.ratings': 'order_id'},
    group='logistics',
) }}

-- Sums: what was held, and what came and went since. The ratings themselves have no order among their keys, and are not
-- looked up again.
with parts as (
    select
        order_id,
        sum(sign) filter (where rating between 1 and 5) as ratings,
        sum(sign * rating) filter (where rating between 1 and 5) as stars,
        sum(sign) as source_rows
    from {{ signed(source('raw_logistics', 'ratings')) }} as changed
    group by order_id
    {% if reads_changes() %}
        union all
        select
            order_id,
            ratings,
            stars,
            source_rows
        from {{ this }}
        where {{ only_touched('order_id') }}
    {% endif %}
)

select
    order_id,
    cast(coalesce(sum(ratings), 0) as bigint) as ratings,
    cast(coalesce(sum(stars), 0) as numeric(8, 1)) as stars,
    cast(sum(source_rows) as bigint) as source_rows
from parts
group by order_id
having sum(source_rows) <> 0
