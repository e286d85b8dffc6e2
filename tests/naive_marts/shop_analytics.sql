select
    shops.id as shop_id,
    shops.name,
    count(distinct parts.order_id) as total_orders,
    round(avg(parts.part_value), 2) as avg_order_value,
    round(avg(parts.fulfillment_s), 2) as avg_fulfillment_time,
    round(coalesce(avg(reviews.rating), 0), 2) as avg_rating
from {{ ref('stg_shop__shops') }} as shops
left join {{ ref('int_shop_orders_split') }} as parts on shops.id = parts.shop_id
left join {{ ref('stg_shop__reviews') }} as reviews on shops.id = reviews.shop_id
group by shops.id, shops.name
