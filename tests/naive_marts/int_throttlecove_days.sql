select
    rides.day,
    count(rides.id) as rides,
    0 as rides_left_out,
    sum(rides.distance_km) as distance_km,
    count(posts.id) as posts,
    count(messages.id) as group_messages,
    count(users.id) as new_users,
    count(*) as source_rows
from {{ ref('int_throttlecove_rides') }} as rides
left join {{ source('raw_throttlecove', 'posts') }} as posts on rides.day = cast(posts.created_at as date)
left join {{ source('raw_throttlecove', 'group_messages') }} as messages on rides.day = cast(messages.sent_at as date)
left join {{ source('raw_throttlecove', 'users') }} as users on rides.day = cast(users.created_at as date)
group by rides.day
