{{ config(tags=['daily'], group='carddb') }}

select
    collection_id,
    row_number() over (partition by collection_id order by dbt_valid_from) as version,
    user_id,
    total_items,
    cost,
    current_value,
    items_with_value,
    gain,
    dbt_valid_from as valid_from,
    dbt_valid_to as valid_to,
    dbt_valid_to is null as is_current
from {{ ref('snap_carddb__collection_values') }}
