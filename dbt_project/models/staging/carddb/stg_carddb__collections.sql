-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_carddb', 'collections') }}
),

renamed as (
    select
        id,
        user_id,
        name,
        description,
        is_public,
        created_at,
        updated_at
    from source
)

select * from renamed
