-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_throttlecove', 'groups') }}
),

renamed as (
    select
        id,
        owner_id,
        slug,
        name,
        description,
        visibility,
        city,
        country,
        tags,
        member_limit,
        archived_at,
        created_at,
        updated_at
    from source
)

select * from renamed
