select
    id as product_id,
    row_number() over (partition by id, list_price order by dbt_valid_from) as version_number,
    name,
    list_price,
    dbt_valid_from as valid_from,
    dbt_valid_to as valid_to,
    dbt_valid_to is null as is_current
from {{ ref('snap_shop__products') }}
