select
    collections.id as collection_id,
    collections.user_id,
    coalesce(sum(held.copies), 0) as total_items,
    count(distinct held.card_id) as distinct_cards,
    coalesce(sum(held.cost), 0) as cost,
    coalesce(sum(held.copies_with_cost), 0) as items_with_cost,
    coalesce(sum(held.copies_cost_left_out), 0) as items_cost_left_out,
    coalesce(sum(prices.price), 0) as current_value,
    count(prices.price) as items_with_value,
    count(*) filter (where prices.price is null) as items_value_left_out,
    coalesce(sum(prices.price), 0) - coalesce(sum(held.cost), 0) as gain,
    count(prices.price) as items_with_gain,
    min(prices.observed_at) as oldest_price_at,
    max(prices.observed_at) as latest_price_at
from {{ ref('stg_carddb__collections') }} as collections
left join {{ ref('int_collection_cards') }} as held on collections.id = held.collection_id
left join {{ ref('int_card_prices_latest') }} as prices on held.card_id = prices.card_id
group by collections.id, collections.user_id
