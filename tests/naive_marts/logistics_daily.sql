select
    rider_days.day,
    riders.city,
    count(*) as active_riders,
    sum(rider_days.orders) as orders,
    sum(rider_days.delivered_orders) as delivered_orders,
    sum(rider_days.cancelled_orders) as cancelled_orders,
    sum(rider_days.earnings) as earnings,
    sum(rider_days.distance_m) as distance_m,
    sum(rider_days.timed_orders) as timed_orders,
    round(avg(rider_days.delivery_s / nullif(rider_days.timed_orders, 0)) / 60, 2) as avg_delivery_min,
    sum(rider_days.times_left_out) as times_left_out,
    sum(rider_days.rated_orders) as rated_orders,
    round(avg(rider_days.stars / nullif(rider_days.rated_orders, 0)), 2) as avg_rating,
    sum(rider_days.ratings_left_out) as ratings_left_out
from {{ ref('int_rider_days') }} as rider_days
inner join {{ ref('dim_rider') }} as riders on rider_days.rider_id = riders.rider_id
group by rider_days.day, riders.city
