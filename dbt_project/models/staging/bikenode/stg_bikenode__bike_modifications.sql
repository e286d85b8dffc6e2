-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    bike_id,
    component,
    removed_part,
    installed_part,
    manufacturer,
    installed_on,
    removed_on,
    price,
    currency,
    notes,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'bike_modifications') }}
