{{ config(tags=['daily'], group='carddb') }}

with collections as (
    select * from {{ ref('stg_carddb__collections') }}
),

prices as (
    select * from {{ ref('int_card_prices_latest') }}
),

items as (
    select
        items.collection_id,
        count(*) as total_items,
        count(distinct items.card_id) as distinct_cards,
        sum(items.price_paid) filter (where items.currency = 'USD') as cost,
        count(*) filter (where items.currency = 'USD') as items_with_cost,
        sum(prices.price) as current_value,
        count(prices.price) as items_with_value
    from {{ ref('stg_carddb__collection_items') }} as items
    left join prices on items.card_id = prices.card_id and items.condition = prices.condition
    group by items.collection_id
)

select
    collections.id as collection_id,
    collections.user_id,
    coalesce(items.total_items, 0) as total_items,
    coalesce(items.distinct_cards, 0) as distinct_cards,
    coalesce(items.cost, 0) as cost,
    coalesce(items.items_with_cost, 0) as items_with_cost,
    coalesce(items.current_value, 0) as current_value,
    coalesce(items.items_with_value, 0) as items_with_value
from collections
left join items on collections.id = items.collection_id
