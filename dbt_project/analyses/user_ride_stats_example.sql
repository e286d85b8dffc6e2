-- How far the community rides, and who never did.
select
    count(*) as users,
    count(*) filter (where total_rides = 0) as without_rides,
    sum(total_distance) as km
from {{ masked('user_ride_stats') }}
