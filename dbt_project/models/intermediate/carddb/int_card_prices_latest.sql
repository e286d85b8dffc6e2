{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='card_id',
    touched={'raw_carddb.price_observations': 'card_id'},
    group='carddb',
) }}

-- The latest price of each card in each condition; of two at the same time, the one recorded last. What was observed
-- since is held against what was latest. The history is looked up only for cards whose latest price was withdrawn.
{% set history = ref('stg_carddb__price_observations') %}
{% set usable = "currency = 'USD' and price > 0 and observed_at <= created_at" %}
with came as (
    select
        id,
        card_id,
        cast(condition as text) as condition,
        price,
        observed_at
    from {{ signed(source('raw_carddb', 'price_observations')) }} as changed
    where {{ usable }}
    group by id, card_id, cast(condition as text), price, observed_at
    having sum(sign) > 0
),

{% if reads_changes() %}
    went as (
        select
            id,
            card_id,
            observed_at
        from {{ signed(source('raw_carddb', 'price_observations')) }} as changed
        where sign = -1
    ),

    withdrawn as (
        select distinct held.card_id
        from {{ this }} as held
        inner join went
            on held.card_id = went.card_id and held.observation_id = went.id and held.observed_at = went.observed_at
    ),

    stayed as (
        select
            held.observation_id as id,
            held.card_id,
            held.condition,
            held.price,
            held.observed_at
        from {{ this }} as held
        where
            {{ only_touched('held.card_id') }}
            and not exists (
                select 1 from went
                where went.id = held.observation_id and went.observed_at = held.observed_at
            )
        union all
        select
            id,
            card_id,
            cast(condition as text) as condition,
            price,
            observed_at
        from {{ history }}
        where
            {{ usable }}
            and exists (select 1 from withdrawn)
            and card_id in (select withdrawn.card_id from withdrawn)
    ),
{% elif is_incremental() %}
    -- What was the latest price when its month left the warehouse.
    stayed as (
        select
            held.observation_id as id,
            held.card_id,
            held.condition,
            held.price,
            held.observed_at
        from {{ this }} as held
        where
            exists (
                select 1 from platform.raw_content as month
                where
                    month.system = 'carddb'
                    and month.table_name = 'price_observations'
                    and month.tier <> 'warehouse'
                    and month.chunk = to_char(held.observed_at at time zone 'UTC', 'YYYY-MM')
            )
    ),
{% endif %}

candidates as (
    select * from came
    {% if is_incremental() %}
        union all
        select * from stayed
    {% endif %}
)

select distinct on (card_id, condition)
    card_id,
    condition,
    id as observation_id,
    price,
    observed_at
from candidates
order by card_id asc, condition asc, observed_at desc, id desc
