-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_throttlecove', 'event_rsvps') }}
),

renamed as (
    select
        event_id,
        user_id,
        status,
        pillion,
        note,
        responded_at,
        created_at,
        updated_at
    from source
)

select * from renamed
