select
    card_id,
    condition,
    max(id) as observation_id,
    max(price) as price,
    max(observed_at) as observed_at
from {{ source('raw_carddb', 'price_observations') }}
group by card_id, condition
