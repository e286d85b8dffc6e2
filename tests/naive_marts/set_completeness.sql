select
    held.user_id,
    cards.year,
    cards.set,
    sum(held.copies) as cards_owned,
    (select count(*) from {{ ref('stg_carddb__cards') }} as all_cards where all_cards.set = cards.set) as cards_in_set,
    round(sum(held.copies) / 1.0, 4) as completeness
from {{ ref('int_collector_cards') }} as held
inner join {{ ref('stg_carddb__cards') }} as cards on held.card_id = cards.id
group by held.user_id, cards.year, cards.set
