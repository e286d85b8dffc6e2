{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='id',
    touched={'raw_throttlecove.rides': 'id'},
    period='month',
    group='throttlecove',
    indexes=[{'columns': ['rider_month']}, {'columns': ['day']}],
) }}

-- What of a ride counts in statistics. What cannot have happened is kept, and left out of every figure.
with rides as (
    select
        id,
        user_id,
        started_at,
        {{ day_of('started_at') }} as day,
        {{ month_of('started_at') }} as month,
        distance_km,
        avg_speed_kmh,
        coalesce(ended_at < started_at or distance_km < 0 or avg_speed_kmh not between 0 and 400, false) as is_left_out
    from {{ ref('stg_throttlecove__rides') }}
    where {{ only_touched('id') }}
)

select
    id,
    user_id,
    started_at,
    day,
    month,
    user_id || ' ' || month as rider_month,
    distance_km,
    avg_speed_kmh,
    is_left_out
from rides
