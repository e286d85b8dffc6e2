-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_carddb', 'price_observations') }}
),

renamed as (
    select
        id,
        card_id,
        condition,
        price,
        currency,
        source,
        listing_ref,
        observed_at,
        created_at
    from source
)

select * from renamed
