select
    user_id,
    card_id,
    count(*) as collections,
    count(*) as copies
from {{ ref('int_collection_cards') }}
group by user_id, card_id
