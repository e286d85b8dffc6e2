-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_logistics', 'ratings') }}
),

renamed as (
    select
        id,
        order_id,
        rider_id,
        rating,
        comment,
        created_at,
        updated_at
    from source
)

select * from renamed
