-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    nickname,
    make,
    model,
    model_year,
    engine_cc,
    vin_encrypted,
    vin_hmac,
    licence_plate,
    colour,
    odometer,
    power_band,
    insured_during,
    specifications,
    purchased_on,
    sold_on,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'motorcycles') }}
