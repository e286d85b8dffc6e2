-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    name,
    description,
    is_public,
    created_at,
    updated_at
from {{ source('raw_carddb', 'collections') }}
