{{ config(tags=['daily'], group='carddb') }}

with collected as (
    select
        items.card_id,
        count(distinct collections.user_id) as collectors,
        count(distinct collections.id) as collections,
        count(*) as copies
    from {{ ref('stg_carddb__collection_items') }} as items
    inner join {{ ref('stg_carddb__collections') }} as collections on items.collection_id = collections.id
    group by items.card_id
)

select
    cards.id as card_id,
    cards.year,
    cards.set,
    cards.number,
    cards.name,
    collected.collectors,
    collected.collections,
    collected.copies,
    rank() over (order by collected.collectors desc, collected.copies desc) as popularity_rank
from collected
inner join {{ ref('stg_carddb__cards') }} as cards on collected.card_id = cards.id
