{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='rider_month',
    touched={'intermediate.int_throttlecove_rides': 'rider_month'},
    period='month',
    group='throttlecove',
) }}

-- A latest time cannot be taken back as a sum can: months with a change are made anew from their rides.
select
    rider_month,
    user_id,
    month,
    max(started_at) as last_started_at
from {{ ref('int_throttlecove_rides') }}
where not is_left_out and {{ only_touched('rider_month') }}
group by rider_month, user_id, month
