-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    public_id,
    email,
    username,
    display_name,
    birth_date,
    weight_kg,
    ftp_watts,
    region,
    home_city,
    locale,
    subscription_tier,
    subscription_until,
    preferences,
    email_verified_at,
    last_login_at,
    last_login_ip,
    is_active,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'users') }}
