-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_logistics', 'support_tickets') }}
),

renamed as (
    select
        id,
        rider_id,
        order_id,
        category,
        status,
        priority,
        subject,
        body,
        tags,
        opened_at,
        resolved_at,
        created_at,
        updated_at
    from source
)

select * from renamed
