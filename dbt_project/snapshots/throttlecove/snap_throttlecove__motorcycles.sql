{% snapshot snap_throttlecove__motorcycles %}
{{ config(
    schema='intermediate',
    strategy='check',
    unique_key='id',
    check_cols=['user_id', 'make', 'model', 'model_year', 'sold_on'],
    hard_deletes='invalidate',
    group='throttlecove',
) }}

select
    id,
    user_id,
    make,
    model,
    model_year,
    sold_on,
    created_at
from {{ ref('stg_throttlecove__motorcycles') }}
{% endsnapshot %}
