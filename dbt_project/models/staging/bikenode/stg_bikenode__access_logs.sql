-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_bikenode', 'access_logs') }}
),

renamed as (
    select
        id,
        logged_at,
        user_id,
        ip,
        region,
        service,
        method,
        path,
        status,
        duration_ms,
        bytes_sent,
        user_agent,
        request_id
    from source
)

select * from renamed
