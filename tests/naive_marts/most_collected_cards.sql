select
    cards.id as card_id,
    cards.year,
    cards.set,
    cards.number,
    cards.name,
    held.collectors,
    held.collections,
    held.copies,
    row_number() over (order by held.copies desc) as popularity_rank,
    rank() over (order by before.copies desc) - rank() over (order by held.copies desc) as rank_movement
from {{ ref('int_card_collectors') }} as held
inner join {{ ref('stg_carddb__cards') }} as cards on held.card_id = cards.id
left join {{ ref('snap_carddb__card_collectors') }} as before on cards.id = before.card_id
