select
    collections.id as collection_id,
    collections.user_id,
    count(items.id) as total_items,
    count(distinct items.card_id) as distinct_cards,
    coalesce(sum(items.price_paid), 0) as cost,
    count(items.price_paid) as items_with_cost,
    coalesce(sum(prices.price), 0) as current_value,
    count(prices.price) as items_with_value
from {{ ref('stg_carddb__collections') }} as collections
left join {{ ref('stg_carddb__collection_items') }} as items on collections.id = items.collection_id
left join {{ ref('int_card_prices_latest') }} as prices on items.card_id = prices.card_id
group by collections.id, collections.user_id
