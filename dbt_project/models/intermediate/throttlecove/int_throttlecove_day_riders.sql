{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='day',
    touched={'intermediate.int_throttlecove_rides': 'day'},
    period='day',
    group='throttlecove',
) }}

-- Different riders cannot be summed: days with a change are made anew from their rides.
select
    day,
    cast(count(distinct user_id) as bigint) as riders
from {{ ref('int_throttlecove_rides') }}
where not is_left_out and {{ only_touched('day') }}
group by day
