-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    order_id,
    customer_id,
    method,
    status,
    amount,
    currency,
    installments,
    payer_name,
    payer_tax_id,
    card_last4,
    provider_ref,
    created_at,
    captured_at,
    updated_at
from {{ source('raw_shop', 'payments') }}
