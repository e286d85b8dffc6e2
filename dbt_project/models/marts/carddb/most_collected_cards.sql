{{ config(tags=['daily'], group='carddb') }}

with ranked as (
    select
        *,
        rank() over (order by collectors desc, copies desc) as popularity_rank
    from {{ ref('int_card_collectors') }}
),

-- As the last refresh before today saw it.
before as (
    select
        card_id,
        rank() over (order by collectors desc, copies desc) as popularity_rank
    from {{ ref('snap_carddb__card_collectors') }}
    where dbt_valid_from < {{ midnight() }} and (dbt_valid_to is null or dbt_valid_to >= {{ midnight() }})
)

select
    cards.id as card_id,
    cards.year,
    cards.set,
    cards.number,
    cards.name,
    ranked.collectors,
    ranked.collections,
    ranked.copies,
    ranked.popularity_rank,
    before.popularity_rank - ranked.popularity_rank as rank_movement
from ranked
inner join {{ ref('stg_carddb__cards') }} as cards on ranked.card_id = cards.id
left join before on ranked.card_id = before.card_id
