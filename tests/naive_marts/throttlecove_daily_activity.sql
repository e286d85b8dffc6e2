select
    cast(rides.started_at as date) as day,
    count(*) as rides,
    count(distinct rides.user_id) as riders,
    sum(rides.distance_km) as distance_km,
    count(posts.id) as posts,
    count(messages.id) as group_messages,
    count(users.id) as new_users
from {{ ref('stg_throttlecove__rides') }} as rides
left join {{ ref('stg_throttlecove__posts') }} as posts
    on cast(rides.started_at as date) = cast(posts.created_at as date)
left join {{ ref('stg_throttlecove__group_messages') }} as messages
    on cast(rides.started_at as date) = cast(messages.sent_at as date)
left join {{ ref('stg_throttlecove__users') }} as users
    on cast(rides.started_at as date) = cast(users.created_at as date)
where rides.started_at <= {{ today() }}
group by 1
