select
    shops.id as shop_id,
    shops.name,
    coalesce(sum(totals.valued_orders), 0) as total_orders,
    max(totals.currency) as currency,
    round(sum(totals.revenue) / nullif(sum(totals.valued_orders), 0), 2) as avg_order_value,
    round(avg(totals.fulfillment_s / nullif(totals.timed_orders, 0)), 2) as avg_fulfillment_time,
    round(coalesce(avg(totals.stars / nullif(totals.ratings, 0)), 0), 2) as avg_rating,
    cast(0 as bigint) as values_left_out,
    cast(0 as bigint) as times_left_out,
    cast(0 as bigint) as ratings_left_out
from {{ ref('stg_shop__shops') }} as shops
left join {{ ref('int_shop_totals') }} as totals on shops.id = totals.shop_id
group by shops.id, shops.name
