-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    rider_id,
    status,
    external_ref,
    order_type,
    pickup_lat,
    pickup_lon,
    dropoff_lat,
    dropoff_lon,
    distance_m,
    delivery_fee,
    rider_age,
    cancel_reason,
    metadata,
    created_at,
    picked_at,
    delivered_at,
    cancelled_at,
    updated_at
from {{ source('raw_logistics', 'orders') }}
