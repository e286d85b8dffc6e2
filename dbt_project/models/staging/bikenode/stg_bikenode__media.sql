-- rendered by `drivetrain catalog render`; not edited by hand
select
    id,
    user_id,
    ride_id,
    bike_id,
    listing_id,
    kind,
    object_key,
    thumbnail_key,
    content_type,
    size_bytes,
    sha256,
    width_px,
    height_px,
    duration,
    exif,
    taken_at,
    taken_lat,
    taken_lon,
    caption,
    created_at,
    updated_at
from {{ source('raw_bikenode', 'media') }}
