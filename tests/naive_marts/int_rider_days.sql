select
    deliveries.rider_id,
    deliveries.day,
    count(*) as orders,
    count(*) filter (where deliveries.is_delivered) as delivered_orders,
    count(*) filter (where deliveries.status = 'cancelled') as cancelled_orders,
    count(deliveries.delivery_s) as timed_orders,
    count(*) filter (where deliveries.times_left_out) as times_left_out,
    sum(deliveries.distance_m) as distance_m,
    count(deliveries.rating) as rated_orders,
    sum(deliveries.ratings_left_out) as ratings_left_out,
    count(*) as source_rows,
    sum(deliveries.delivery_s) as delivery_s,
    sum(deliveries.rating) as stars,
    sum(entries.amount) as earnings
from {{ ref('fct_deliveries') }} as deliveries
left join {{ source('raw_logistics', 'wallet_ledger') }} as entries
    on deliveries.rider_id = entries.rider_id and deliveries.day = cast(entries.created_at as date)
group by deliveries.rider_id, deliveries.day
