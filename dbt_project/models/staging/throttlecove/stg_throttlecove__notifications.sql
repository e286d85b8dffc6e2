-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_throttlecove', 'notifications') }}
),

renamed as (
    select
        id,
        user_id,
        actor_id,
        kind,
        payload,
        read,
        read_at,
        created_at,
        updated_at
    from source
)

select * from renamed
