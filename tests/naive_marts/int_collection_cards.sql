select
    items.collection_id,
    collections.user_id,
    items.card_id,
    items.condition,
    count(*) as copies,
    count(items.price_paid) as copies_with_cost,
    sum(items.price_paid) as cost,
    0 as copies_cost_left_out
from {{ ref('stg_carddb__collection_items') }} as items
inner join {{ ref('stg_carddb__collections') }} as collections on items.collection_id = collections.id
group by items.collection_id, collections.user_id, items.card_id, items.condition
