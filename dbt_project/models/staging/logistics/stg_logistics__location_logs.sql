-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_logistics', 'location_logs') }}
),

renamed as (
    select
        id,
        rider_id,
        lat,
        lon,
        accuracy,
        speed,
        created_at
    from source
)

select * from renamed
