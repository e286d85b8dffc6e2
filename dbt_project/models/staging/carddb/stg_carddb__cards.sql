-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    year,
    set,
    number,
    name,
    attributes,
    created_at,
    updated_at
from {{ source('raw_carddb', 'cards') }}
