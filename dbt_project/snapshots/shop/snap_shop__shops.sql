{% snapshot snap_shop__shops %}
{{ config(
    schema='intermediate',
    strategy='check',
    unique_key='id',
    check_cols=['vendor_id', 'name', 'status', 'city', 'state', 'country'],
    hard_deletes='invalidate',
    group='shop',
) }}

select
    id,
    vendor_id,
    name,
    cast(status as text) as status,
    city,
    state,
    cast(country as text) as country,
    created_at
from {{ ref('stg_shop__shops') }}
{% endsnapshot %}
