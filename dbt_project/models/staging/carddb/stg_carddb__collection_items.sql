-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    collection_id,
    card_id,
    condition,
    grade,
    grader,
    acquired_at,
    price_paid,
    currency,
    for_trade,
    notes,
    created_at,
    updated_at
from {{ source('raw_carddb', 'collection_items') }}
