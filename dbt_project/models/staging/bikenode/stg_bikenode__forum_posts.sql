-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    parent_id,
    author_id,
    forum,
    title,
    body,
    tags,
    like_count,
    is_pinned,
    edited_at,
    removed_at,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'forum_posts') }}
