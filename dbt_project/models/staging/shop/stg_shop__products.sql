-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    shop_id,
    name,
    category,
    list_price,
    currency,
    name_length,
    description_length,
    photos_qty,
    weight_g,
    length_cm,
    height_cm,
    width_cm,
    tags,
    is_active,
    created_at,
    updated_at
from {{ source('raw_shop', 'products') }}
