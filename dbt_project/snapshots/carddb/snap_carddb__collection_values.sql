{% snapshot snap_carddb__collection_values %}
{{ config(
    schema='intermediate',
    strategy='check',
    unique_key='collection_id',
    check_cols=['user_id', 'total_items', 'cost', 'current_value', 'items_with_value', 'gain'],
    hard_deletes='invalidate',
    group='carddb',
) }}

select
    collection_id,
    user_id,
    total_items,
    cost,
    current_value,
    items_with_value,
    gain
from {{ ref('collection_value') }}
{% endsnapshot %}
