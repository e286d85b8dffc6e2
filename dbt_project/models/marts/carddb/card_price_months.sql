{{ config(tags=['daily'], group='carddb') }}

select
    card_id,
    condition,
    month,
    observations,
    cast(round(prices / nullif(observations, 0), 2) as numeric(12, 2)) as avg_price,
    foreign_left_out,
    wrong_left_out
from {{ ref('int_card_price_months') }}
