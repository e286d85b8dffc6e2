-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    listing_id,
    buyer_id,
    seller_id,
    amount,
    fee,
    net_amount,
    currency,
    exchange_rate_usd,
    status,
    payment_reference,
    billing_name,
    billing_address,
    payout_account,
    paid_at,
    refunded_at,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'transactions') }}
