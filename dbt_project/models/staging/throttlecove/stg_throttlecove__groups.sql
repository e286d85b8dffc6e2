-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    owner_id,
    slug,
    name,
    description,
    visibility,
    city,
    country,
    tags,
    member_limit,
    archived_at,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'groups') }}
