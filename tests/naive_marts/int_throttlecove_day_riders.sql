select
    day,
    count(user_id) as riders
from {{ ref('int_throttlecove_rides') }}
group by day
