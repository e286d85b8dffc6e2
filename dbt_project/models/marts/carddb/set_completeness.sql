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
        held.user_id,
        cards.year,
        cards.set,
        count(*) as cards_owned
    from {{ ref('int_collector_cards') }} as held
    inner join cards on held.card_id = cards.id
    group by held.user_id, cards.year, cards.set
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
