-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_throttlecove', 'follows') }}
),

renamed as (
    select
        follower_id,
        followee_id,
        notify,
        created_at
    from source
)

select * from renamed
