-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    card_id,
    condition,
    price,
    currency,
    source,
    listing_ref,
    observed_at,
    created_at
from {{ source('raw_carddb', 'price_observations') }}
