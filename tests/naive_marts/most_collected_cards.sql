select
    cards.id as card_id,
    cards.year,
    cards.set,
    cards.number,
    cards.name,
    count(collections.user_id) as collectors,
    count(collections.id) as collections,
    count(*) as copies,
    row_number() over (order by count(*) desc) as popularity_rank
from {{ ref('stg_carddb__collection_items') }} as items
inner join {{ ref('stg_carddb__collections') }} as collections on items.collection_id = collections.id
inner join {{ ref('stg_carddb__cards') }} as cards on items.card_id = cards.id
group by cards.id, cards.year, cards.set, cards.number, cards.name
