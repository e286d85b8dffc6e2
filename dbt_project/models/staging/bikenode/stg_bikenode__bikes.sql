-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    name,
    kind,
    brand,
    model,
    model_year,
    frame_serial,
    weight_kg,
    specifications,
    purchased_on,
    purchase_price,
    currency,
    odometer_m,
    retired_on,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'bikes') }}
