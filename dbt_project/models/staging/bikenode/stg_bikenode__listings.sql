-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    seller_id,
    bike_id,
    category,
    title,
    description,
    condition,
    price,
    currency,
    status,
    pickup_city,
    attributes,
    tags,
    expires_at,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'listings') }}
