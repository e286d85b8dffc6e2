-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_bikenode', 'listings') }}
),

renamed as (
    select
        id,
        seller_id,
        bike_id,
        category,
        title,
        description,
        condition,
        price,
        currency,
        status,
        pickup_city,
        attributes,
        tags,
        expires_at,
        created_at,
        updated_at
    from source
)

select * from renamed
