-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_bikenode', 'reviews') }}
),

renamed as (
    select
        id,
        transaction_id,
        reviewer_id,
        reviewee_id,
        rating,
        body,
        created_at,
        updated_at
    from source
)

select * from renamed
