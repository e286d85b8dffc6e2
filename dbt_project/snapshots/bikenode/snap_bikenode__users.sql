{% snapshot snap_bikenode__users %}
{{ config(
    schema='intermediate',
    strategy='check',
    unique_key='id',
    check_cols=['region', 'subscription_tier', 'is_active'],
    hard_deletes='invalidate',
    group='bikenode',
) }}

-- Of a person nothing but the identifier and what the account is.
select
    id,
    cast(region as text) as region,
    cast(subscription_tier as text) as subscription_tier,
    is_active,
    created_at
from {{ ref('stg_bikenode__users') }}
{% endsnapshot %}
