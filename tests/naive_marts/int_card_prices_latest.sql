select
    card_id,
    condition,
    max(price) as price,
    max(observed_at) as observed_at
from {{ ref('stg_carddb__price_observations') }}
group by card_id, condition
