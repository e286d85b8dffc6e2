{{ config(group='carddb') }}

-- The latest price in US dollars of each card in each condition; of two at the same time, the one recorded last.
select distinct on (card_id, condition)
    card_id,
    condition,
    price,
    observed_at
from {{ ref('stg_carddb__price_observations') }}
where currency = 'USD'
order by card_id asc, condition asc, observed_at desc, id desc
