-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_shop', 'reviews') }}
),

renamed as (
    select
        id,
        order_id,
        shop_id,
        product_id,
        customer_id,
        rating,
        title,
        body,
        reply,
        is_hidden,
        created_at,
        updated_at
    from source
)

select * from renamed
