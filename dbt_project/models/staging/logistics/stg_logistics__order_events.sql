-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_logistics', 'order_events') }}
),

renamed as (
    select
        id,
        order_id,
        kind,
        at,
        lat,
        lon,
        payload,
        created_at
    from source
)

select * from renamed
