{% snapshot snap_carddb__card_collectors %}
{{ config(
    schema='intermediate',
    strategy='check',
    unique_key='card_id',
    check_cols=['collectors', 'copies'],
    hard_deletes='invalidate',
    group='carddb',
) }}

select
    card_id,
    collectors,
    copies
from {{ ref('int_card_collectors') }}
{% endsnapshot %}
