-- rendered by `drivetrain catalog render`; not edited by hand
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
from {{ source('raw_logistics', 'wallet_ledger') }}
