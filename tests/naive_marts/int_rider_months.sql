select
    orders.rider_id as rider_id,
    {{ month_of('orders.created_at') }} as month,
    count(orders.id) as orders,
    count(orders.id) filter (where cast(orders.status as text) = 'delivered') as completed_orders,
    count(orders.id) filter (where cast(orders.status as text) = 'cancelled') as cancelled_orders,
    coalesce(sum(ledger.amount) filter (where cast(ledger.entry_type as text) = 'earning'), 0) as earnings,
    count(ratings.id) filter (where ratings.rating between 1 and 5) as ratings,
    coalesce(sum(ratings.rating) filter (where ratings.rating between 1 and 5), 0) as stars,
    count(ratings.id) filter (where ratings.rating not between 1 and 5) as ratings_left_out,
    coalesce(sum(extract(epoch from duty.ended_at - duty.started_at)) filter (where duty.ended_at >= duty.started_at), 0)
    as on_duty_s,
    count(*) as source_rows
from {{ source('raw_logistics', 'orders') }} as orders
left join {{ source('raw_logistics', 'wallet_ledger') }} as ledger on orders.rider_id = ledger.rider_id
left join {{ source('raw_logistics', 'ratings') }} as ratings on orders.rider_id = ratings.rider_id
left join {{ source('raw_logistics', 'duty_logs') }} as duty on orders.rider_id = duty.rider_id
group by orders.rider_id, {{ month_of('orders.created_at') }}
