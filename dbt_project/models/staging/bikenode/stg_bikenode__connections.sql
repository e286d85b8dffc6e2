-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_bikenode', 'connections') }}
),

renamed as (
    select
        follower_id,
        followee_id,
        status,
        created_at,
        updated_at
    from source
)

select * from renamed
