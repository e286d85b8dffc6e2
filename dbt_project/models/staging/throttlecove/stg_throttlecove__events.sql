-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    group_id,
    organiser_id,
    title,
    description,
    status,
    start_time,
    end_time,
    meet_at,
    time_zone,
    place,
    lat,
    lon,
    riders,
    entry_fee,
    currency,
    route,
    created_at,
    updated_at
from {{ source('raw_throttlecove', 'events') }}
