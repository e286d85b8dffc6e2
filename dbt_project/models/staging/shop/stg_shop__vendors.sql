-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    legal_name,
    contact_name,
    email,
    phone,
    tax_id,
    payout_account,
    country,
    commission_rate,
    status,
    created_at,
    updated_at
from {{ source('raw_shop', 'vendors') }}
