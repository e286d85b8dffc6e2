-- Users by region and subscription now.
select
    region,
    subscription_tier,
    count(*) as users
from {{ masked('dim_bikenode_user') }}
where is_current
group by region, subscription_tier
order by users desc
