-- The last days by region; figures of fewer than five riders are NULL.
select
    day,
    region,
    rides,
    riders,
    distance_km
from {{ masked('bikenode_daily_activity') }}
order by day desc, region
limit 20
