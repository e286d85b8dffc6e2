select
    rider_id,
    name,
    city,
    total_earnings,
    completed_orders,
    avg_rating,
    ratings_left_out,
    row_number() over (order by total_earnings desc) as earnings_rank,
    row_number() over (partition by city order by total_earnings desc) as city_rank,
    cast(0 as bigint) as rank_movement,
    cast(0 as bigint) as city_rank_movement
from {{ ref('int_riders_measured') }}
where status = 'active'
