select
    users.id,
    users.username,
    sum(months.rides) as total_rides,
    sum(months.rides_left_out) as rides_left_out,
    sum(months.distance_km) as total_distance,
    round(avg(months.speeds_kmh / nullif(months.rides_with_speed, 0)), 2) as avg_speed,
    cast(max(lasts.last_started_at) as date) as last_ride_date
from {{ ref('stg_throttlecove__users') }} as users
left join {{ ref('int_throttlecove_rider_months') }} as months on users.id = months.user_id
left join {{ ref('int_throttlecove_rider_lasts') }} as lasts on users.id = lasts.user_id
group by users.id, users.username
