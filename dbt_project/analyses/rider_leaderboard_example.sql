-- Earnings and active riders by city.
select
    city,
    count(*) as riders,
    sum(total_earnings) as earnings
from {{ masked('rider_leaderboard') }}
group by city
order by earnings desc
