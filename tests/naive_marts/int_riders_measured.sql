select
    riders.id as rider_id,
    riders.name,
    riders.city,
    cast(riders.status as text) as status,
    count(orders.id) as total_orders,
    count(orders.id) filter (where cast(orders.status as text) = 'delivered') as completed_orders,
    count(orders.id) filter (where cast(orders.status as text) = 'cancelled') as cancelled_orders,
    coalesce(sum(ledger.amount) filter (where cast(ledger.entry_type as text) = 'earning'), 0) as total_earnings,
    round(coalesce(avg(ratings.rating), 0), 2) as avg_rating
from {{ ref('stg_logistics__riders') }} as riders
left join {{ ref('stg_logistics__orders') }} as orders on riders.id = orders.rider_id
left join {{ ref('stg_logistics__wallet_ledger') }} as ledger on riders.id = ledger.rider_id
left join {{ ref('stg_logistics__ratings') }} as ratings on riders.id = ratings.rider_id
group by riders.id, riders.name, riders.city, riders.status
