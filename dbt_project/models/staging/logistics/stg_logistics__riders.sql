-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_logistics', 'riders') }}
),

renamed as (
    select
        id,
        external_id,
        mobile,
        name,
        email,
        city,
        age,
        languages,
        status,
        kyc_status,
        vehicle_type,
        vehicle_number,
        upi_id,
        device_id,
        last_ip,
        preferences,
        joined_on,
        last_active_at,
        created_at,
        updated_at
    from source
)

select * from renamed
