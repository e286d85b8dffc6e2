-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    author_id,
    group_id,
    shared_id,
    body,
    photo_key,
    tags,
    like_count,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'posts') }}
