-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    external_id,
    mobile,
    name,
    email,
    city,
    age,
    languages,
    status,
    kyc_status,
    vehicle_type,
    vehicle_number,
    upi_id,
    device_id,
    last_ip,
    preferences,
    joined_on,
    last_active_at,
    created_at,
    updated_at
from {{ source('raw_logistics', 'riders') }}
