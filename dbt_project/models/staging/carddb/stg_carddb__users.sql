-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    email,
    username,
    display_name,
    country,
    status,
    bio,
    preferences,
    last_login_at,
    last_login_ip,
    created_at,
    updated_at
from {{ source('raw_carddb', 'users') }}
