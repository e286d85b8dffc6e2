-- The last days; figures of fewer than five riders are NULL.
select
    day,
    rides,
    riders,
    distance_km
from {{ masked('throttlecove_daily_activity') }}
order by day desc
limit 10
