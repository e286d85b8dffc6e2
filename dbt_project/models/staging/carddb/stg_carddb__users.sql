-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_carddb', 'users') }}
),

renamed as (
    select
        id,
        email,
        username,
        display_name,
        country,
        status,
        bio,
        preferences,
        last_login_at,
        last_login_ip,
        created_at,
        updated_at
    from source
)

select * from renamed
