{% snapshot snap_shop__products %}
{{ config(
    schema='intermediate',
    strategy='check',
    unique_key='id',
    check_cols=['shop_id', 'name', 'category', 'list_price', 'currency', 'is_active'],
    hard_deletes='invalidate',
    group='shop',
) }}

select
    id,
    shop_id,
    name,
    category,
    list_price,
    cast(currency as text) as currency,
    is_active,
    created_at
from {{ ref('stg_shop__products') }}
{% endsnapshot %}
