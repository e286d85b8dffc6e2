-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    transaction_id,
    reviewer_id,
    reviewee_id,
    rating,
    body,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'reviews') }}
