{{ config(tags=['daily'], group='throttlecove') }}

with versions as (
    select
        *,
        row_number() over (partition by id order by dbt_valid_from) as version_number
    from {{ ref('snap_throttlecove__motorcycles') }}
)

-- What it was before it was first seen is not known: its first version is taken back to its beginning.
select
    id as motorcycle_id,
    version_number,
    user_id,
    make,
    model,
    model_year,
    sold_on,
    case when version_number = 1 then least(created_at, dbt_valid_from) else dbt_valid_from end as valid_from,
    dbt_valid_to as valid_to,
    dbt_valid_to is null as is_current
from versions
