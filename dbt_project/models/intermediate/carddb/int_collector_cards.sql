{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='user_id',
    touched={'intermediate.int_collection_cards': 'user_id'},
    indexes=[{'columns': ['card_id']}],
    group='carddb',
) }}

select
    user_id,
    card_id,
    count(distinct collection_id) as collections,
    cast(sum(copies) as bigint) as copies
from {{ ref('int_collection_cards') }}
where {{ only_touched('user_id') }}
group by user_id, card_id
