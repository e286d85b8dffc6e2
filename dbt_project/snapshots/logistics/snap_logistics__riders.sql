{% snapshot snap_logistics__riders %}
{{ config(
    schema='intermediate',
    strategy='check',
    unique_key='id',
    check_cols=['city', 'status', 'kyc_status'],
    hard_deletes='invalidate',
    group='logistics',
) }}

select
    id,
    city,
    cast(status as text) as status,
    cast(kyc_status as text) as kyc_status,
    created_at
from {{ ref('stg_logistics__riders') }}
{% endsnapshot %}
