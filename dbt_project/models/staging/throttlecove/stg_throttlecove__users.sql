-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_throttlecove', 'users') }}
),

renamed as (
    select
        id,
        public_id,
        username,
        email,
        phone,
        display_name,
        bio,
        avatar_key,
        birth_date,
        blood_type,
        city,
        country,
        licence_classes,
        experience,
        membership,
        membership_valid_until,
        emergency_contact,
        settings,
        quiet_from,
        quiet_until,
        status,
        last_seen_at,
        last_seen_ip,
        created_at,
        updated_at
    from source
)

select * from renamed
