-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    bike_id,
    performed_on,
    task,
    notes,
    workshop,
    parts,
    cost,
    currency,
    odometer_m,
    labour,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'bike_maintenance') }}
