-- rendered by `drivetrain catalog render`; not edited by hand
with source as (
    select * from {{ source('raw_logistics', 'wallet_ledger') }}
),

renamed as (
    select
        id,
        rider_id,
        entry_type,
        amount,
        currency,
        order_id,
        reference,
        metadata,
        created_at
    from source
)

select * from renamed
