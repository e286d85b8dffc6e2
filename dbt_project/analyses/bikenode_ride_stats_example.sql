-- Distance and speed by region: speed from sums.
select
    region,
    count(*) as users,
    sum(total_distance_km) as km,
    round(sum(total_distance_km) / nullif(sum(total_moving_hours), 0), 2) as kmh
from {{ masked('bikenode_ride_stats') }}
group by region
order by km desc
