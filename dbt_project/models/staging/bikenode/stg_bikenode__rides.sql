-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_bikenode', 'rides') }}
),

renamed as (
    select
        id,
        user_id,
        bike_id,
        title,
        notes,
        status,
        visibility,
        region,
        started_at,
        ended_at,
        start_lat,
        start_lon,
        end_lat,
        end_lon,
        distance_m,
        elapsed_s,
        moving_s,
        elevation_gain_m,
        elevation_loss_m,
        avg_speed_mps,
        max_speed_mps,
        avg_power_w,
        max_power_w,
        device,
        weather,
        created_at,
        updated_at
    from source
)

select * from renamed
