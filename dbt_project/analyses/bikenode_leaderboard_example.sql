-- The first three of each region, of all time.
select
    region,
    distance_rank,
    user_id as pseudonym,
    distance_km
from {{ masked('bikenode_leaderboard') }}
where period = 'all_time' and distance_rank <= 3
order by region, distance_rank
