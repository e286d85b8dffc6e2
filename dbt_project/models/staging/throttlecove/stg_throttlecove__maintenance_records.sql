-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_throttlecove', 'maintenance_records') }}
),

renamed as (
    select
        id,
        motorcycle_id,
        document_id,
        service,
        performed_on,
        odometer,
        description,
        workshop,
        parts,
        labour,
        cost,
        currency,
        created_at,
        updated_at
    from source
)

select * from renamed
