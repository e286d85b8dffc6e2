{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='collection_id',
    touched={'raw_carddb.collection_items': 'collection_id', 'raw_carddb.collections': 'id'},
    indexes=[{'columns': ['user_id']}],
    group='carddb',
) }}

with items as (
    select
        collection_id,
        card_id,
        cast(condition as text) as condition,
        count(*) as copies,
        count(*) filter (where currency = 'USD' and price_paid >= 0) as copies_with_cost,
        coalesce(sum(price_paid) filter (where currency = 'USD' and price_paid >= 0), 0) as cost,
        count(*) filter (where price_paid is null) as copies_without_cost
    from {{ ref('stg_carddb__collection_items') }}
    where {{ only_touched('collection_id') }}
    group by collection_id, card_id, cast(condition as text)
)

select
    items.collection_id,
    collections.user_id,
    items.card_id,
    items.condition,
    items.copies,
    items.copies_with_cost,
    cast(items.cost as numeric(16, 2)) as cost,
    items.copies - items.copies_with_cost - items.copies_without_cost as copies_cost_left_out
from items
inner join {{ ref('stg_carddb__collections') }} as collections on items.collection_id = collections.id
where {{ only_touched('collections.id') }}
