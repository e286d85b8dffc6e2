{{ config(tags=['daily'], group='carddb') }}

with items as (
    select
        held.collection_id,
        cast(sum(held.copies) as bigint) as total_items,
        count(distinct held.card_id) as distinct_cards,
        sum(held.cost) as cost,
        cast(sum(held.copies_with_cost) as bigint) as items_with_cost,
        cast(sum(held.copies_cost_left_out) as bigint) as items_cost_left_out,
        sum(prices.price * held.copies) as current_value,
        cast(coalesce(sum(held.copies) filter (where prices.card_id is not null), 0) as bigint) as items_with_value,
        sum(prices.price * held.copies_with_cost - held.cost) filter (where held.copies_with_cost > 0) as gain,
        cast(
            coalesce(sum(held.copies_with_cost) filter (where prices.card_id is not null), 0) as bigint
        ) as items_with_gain,
        min(prices.observed_at) as oldest_price_at,
        max(prices.observed_at) as latest_price_at
    from {{ ref('int_collection_cards') }} as held
    left join {{ ref('int_card_prices_latest') }} as prices
        on held.card_id = prices.card_id and held.condition = prices.condition
    group by held.collection_id
)

select
    collections.id as collection_id,
    collections.user_id,
    coalesce(items.total_items, 0) as total_items,
    coalesce(items.distinct_cards, 0) as distinct_cards,
    coalesce(items.cost, 0) as cost,
    coalesce(items.items_with_cost, 0) as items_with_cost,
    coalesce(items.items_cost_left_out, 0) as items_cost_left_out,
    coalesce(items.current_value, 0) as current_value,
    coalesce(items.items_with_value, 0) as items_with_value,
    coalesce(items.total_items - items.items_with_value, 0) as items_value_left_out,
    coalesce(items.gain, 0) as gain,
    coalesce(items.items_with_gain, 0) as items_with_gain,
    items.oldest_price_at,
    items.latest_price_at
from {{ ref('stg_carddb__collections') }} as collections
left join items on collections.id = items.collection_id
