-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    motorcycle_id,
    document_id,
    service,
    performed_on,
    odometer,
    description,
    workshop,
    parts,
    labour,
    cost,
    currency,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'maintenance_records') }}
