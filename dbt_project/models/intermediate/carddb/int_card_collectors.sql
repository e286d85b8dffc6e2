{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='card_id',
    touched={'intermediate.int_collector_cards': 'card_id'},
    group='carddb',
) }}

select
    card_id,
    count(*) as collectors,
    cast(sum(collections) as bigint) as collections,
    cast(sum(copies) as bigint) as copies
from {{ ref('int_collector_cards') }}
where {{ only_touched('card_id') }}
group by card_id
