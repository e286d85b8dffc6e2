{{ config(
    materialized='incremental',
    incremental_strategy='add',
    period='month',
    group='carddb',
) }}

{% set usable = "currency = 'USD' and price > 0 and observed_at <= created_at" %}
select
    card_id,
    cast(condition as text) as condition,
    {{ month_of('observed_at') }} as month,
    cast(coalesce(sum(sign) filter (where {{ usable }}), 0) as bigint) as observations,
    cast(coalesce(sum(sign * price) filter (where {{ usable }}), 0) as numeric(20, 2)) as prices,
    cast(coalesce(sum(sign) filter (where currency <> 'USD'), 0) as bigint) as foreign_left_out,
    cast(
        coalesce(sum(sign) filter (where currency = 'USD' and (price <= 0 or observed_at > created_at)), 0) as bigint
    ) as wrong_left_out,
    cast(sum(sign) as bigint) as source_rows
from {{ signed(source('raw_carddb', 'price_observations')) }} as changed
group by card_id, cast(condition as text), {{ month_of('observed_at') }}
