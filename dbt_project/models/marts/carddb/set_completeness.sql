{{ config(tags=['daily'], group='carddb') }}

with cards as (
    select * from {{ ref('stg_carddb__cards') }}
),

sets as (
    select
        year,
        set,
        count(*) as cards_in_set
    from cards
    group by year, set
),

owned as (
    select
        collections.user_id,
        cards.year,
        cards.set,
        count(distinct cards.id) as cards_owned
    from {{ ref('stg_carddb__collection_items') }} as items
    inner join {{ ref('stg_carddb__collections') }} as collections on items.collection_id = collections.id
    inner join cards on items.card_id = cards.id
    group by collections.user_id, cards.year, cards.set
)

select
    owned.user_id,
    owned.year,
    owned.set,
    owned.cards_owned,
    sets.cards_in_set,
    round(owned.cards_owned / cast(sets.cards_in_set as numeric), 4) as completeness
from owned
inner join sets on owned.year = sets.year and owned.set = sets.set
