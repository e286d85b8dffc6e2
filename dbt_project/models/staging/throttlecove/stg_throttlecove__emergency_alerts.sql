-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_throttlecove', 'emergency_alerts') }}
),

renamed as (
    select
        id,
        user_id,
        ride_id,
        kind,
        status,
        message,
        lat,
        lon,
        impact_g,
        contacts_notified,
        raised_at,
        acknowledged_at,
        resolved_at,
        response_time,
        created_at,
        updated_at
    from source
)

select * from renamed
