select
    collections.user_id,
    cards.year,
    cards.set,
    count(*) as cards_owned,
    (select count(*) from {{ ref('stg_carddb__cards') }} as all_cards where all_cards.set = cards.set) as cards_in_set,
    round(count(*) / 1.0, 4) as completeness
from {{ ref('stg_carddb__collection_items') }} as items
inner join {{ ref('stg_carddb__collections') }} as collections on items.collection_id = collections.id
inner join {{ ref('stg_carddb__cards') }} as cards on items.card_id = cards.id
group by collections.user_id, cards.year, cards.set
