-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    rider_id,
    amount,
    status,
    account_holder,
    account_number,
    ifsc,
    utr,
    failure_reason,
    requested_at,
    processed_at,
    created_at,
    updated_at
from {{ source('raw_logistics', 'withdrawal_requests') }}
