-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_carddb', 'cards') }}
),

renamed as (
    select
        id,
        year,
        set,
        number,
        name,
        attributes,
        created_at,
        updated_at
    from source
)

select * from renamed
