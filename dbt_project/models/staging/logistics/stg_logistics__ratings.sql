-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    order_id,
    rider_id,
    rating,
    comment,
    created_at,
    updated_at
from {{ source('raw_logistics', 'ratings') }}
