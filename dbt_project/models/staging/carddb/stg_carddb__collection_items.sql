-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_carddb', 'collection_items') }}
),

renamed as (
    select
        id,
        collection_id,
        card_id,
        condition,
        grade,
        grader,
        acquired_at,
        price_paid,
        currency,
        for_trade,
        notes,
        created_at,
        updated_at
    from source
)

select * from renamed
