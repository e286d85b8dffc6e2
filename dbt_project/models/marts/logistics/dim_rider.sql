{{ config(tags=['hourly'], group='logistics') }}

with versions as (
    select
        *,
        row_number() over (partition by id order by dbt_valid_from) as version
    from {{ ref('snap_logistics__riders') }}
)

-- What a rider was before it was first seen is not known: the first version is taken back to the application.
select
    id as rider_id,
    version,
    city,
    status,
    kyc_status,
    case when version = 1 then least(created_at, dbt_valid_from) else dbt_valid_from end as valid_from,
    dbt_valid_to as valid_to,
    dbt_valid_to is null as is_current
from versions
