-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_throttlecove', 'achievements') }}
),

renamed as (
    select
        id,
        user_id,
        code,
        title,
        points,
        progress,
        details,
        earned_at,
        created_at,
        updated_at
    from source
)

select * from renamed
