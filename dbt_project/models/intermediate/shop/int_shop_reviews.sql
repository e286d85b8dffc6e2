{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='review_id',
    touched={'raw_shop.reviews': 'id'},
    indexes=[{'columns': ['order_id']}],
    group='shop',
) }}

select
    id as review_id,
    order_id,
    shop_id,
    product_id,
    rating
from {{ touched_rows(ref('stg_shop__reviews'), 'id') }}
