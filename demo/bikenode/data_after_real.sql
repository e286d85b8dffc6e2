-- What hangs on rides, whether these were generated (data.sql) or real (real.py). Both run before this file.

-- Real rides have a reading every five seconds; of the generated ones, one in eight has thirty-five in all.
INSERT INTO sensor_readings (ride_id, seq, recorded_at, user_id, heart_rate_bpm, cadence_rpm, power_w, temperature_c,
    battery_pct, sensor_serial, received_at)
SELECT ride.id, seq, ride.started_at + seq * interval '1 second' * (ride.elapsed_s::double precision / readings), ride.user_id,
    CASE WHEN ride.id % 10 < 8 THEN 85 + 90 * power(pg_temp.u('sense.heart', i), 0.7) END,
    CASE WHEN ride.id % 10 > 1 THEN CASE WHEN pg_temp.u('sense.rolls', i) < 0.1 THEN 0 ELSE pg_temp.between('sense.cadence', i, 55, 110) END END,
    CASE WHEN ride.avg_power_w IS NOT NULL THEN ride.avg_power_w * 2 * pg_temp.u('sense.power', i) END,
    (12 + 14 * pg_temp.u('sense.warm', ride.id) + 2 * pg_temp.u('sense.air', i))::numeric(4,1),
    greatest(100 - seq * 40 / readings - ride.id % 30, 1),
    CASE WHEN ride.id % 5 <> 0 THEN 'SN' || upper(left(md5('sensor' || ride.user_id), 10)) END,
    ride.created_at
FROM (
    SELECT *, CASE current_setting('demo.real') WHEN 'on' THEN greatest(elapsed_s / 5, 1) ELSE 35 END AS readings
    FROM rides
    WHERE ended_at IS NOT NULL AND (current_setting('demo.real') = 'on' OR id = 1 OR pg_temp.u('ride.sensed', id) < 0.125)
) AS ride
CROSS JOIN LATERAL (SELECT seq, ride.id * 10000 + seq AS i FROM generate_series(1, ride.readings) AS seq) AS reading
ORDER BY ride.id, seq;

-- Half of the photos and videos are of a ride, the others of a bike or for a listing.
INSERT INTO media (id, user_id, ride_id, bike_id, listing_id, kind, object_key, thumbnail_key, content_type, size_bytes,
    sha256, width_px, height_px, duration, exif, taken_at, taken_lat, taken_lon, caption, created_at, updated_at)
SELECT id, user_id, ride_id, bike_id, listing_id, kind::media_kind,
    user_id || '/' || id || CASE kind WHEN 'video' THEN '.mp4' ELSE '.jpg' END,
    CASE WHEN pg_temp.u('media.small', i) < 0.95 THEN user_id || '/' || id || '.thumb.jpg' END,
    CASE kind WHEN 'video' THEN 'video/mp4' ELSE 'image/jpeg' END,
    CASE kind WHEN 'video' THEN 40000000 ELSE 2500000 END + pg_temp.between('media.size', i, -900000, 900000),
    sha256(convert_to('media' || current_setting('demo.seed') || i, 'UTF8')),
    CASE i % 2 WHEN 0 THEN 4032 ELSE 3024 END, CASE i % 2 WHEN 0 THEN 3024 ELSE 4032 END,
    CASE kind WHEN 'video' THEN pg_temp.between('media.length', i, 2000, 180000) * interval '1 millisecond' END,
    CASE WHEN pg_temp.u('media.exif', i) < 0.7 THEN jsonb_build_object('make', 'Lumio', 'model', pg_temp.pick('media.camera', i, ARRAY['P8', 'P9 Pro', 'Action 3']), 'iso', 100 * pg_temp.between('media.iso', i, 1, 16)) END,
    taken_at, lat, lon,
    CASE WHEN pg_temp.u('media.captioned', i) < 0.4 THEN pg_temp.pick('media.caption', i, ARRAY['Gipfel! 🏔️', 'sunset over the bay', 'vista linda', '山顶', 'new wheels']) END,
    created_at, created_at + CASE WHEN pg_temp.u('media.edited', i) < 0.1 THEN pg_temp.u('media.edit', i) * (pg_temp.clock() - created_at) ELSE interval '0' END
FROM (
    SELECT i, pg_temp.uuid('media', i) AS id, pg_temp.pick('media.kind', i, ARRAY['photo', 'photo', 'photo', 'photo', 'photo', 'video']) AS kind,
        coalesce(ride.user_id, bike.user_id, listing.seller_id) AS user_id, ride.id AS ride_id, bike.id AS bike_id, listing.id AS listing_id,
        CASE WHEN ride.id IS NOT NULL THEN ride.started_at + pg_temp.u('media.when', i) * (ride.ended_at - ride.started_at) END AS taken_at,
        CASE WHEN pg_temp.u('media.placed', i) < 0.6 THEN ride.start_lat END AS lat,
        CASE WHEN pg_temp.u('media.placed', i) < 0.6 THEN ride.start_lon END AS lon,
        coalesce(ride.created_at, bike.created_at, listing.created_at) AS created_at
    FROM (
        SELECT i, i % 4 AS sort, pg_temp.u('media.of', i) AS u FROM generate_series(1, pg_temp.n(5000)) AS i
    ) AS file
    LEFT JOIN rides AS ride ON file.sort < 2 AND ride.id = 1 + floor(file.u * (SELECT max(id) FROM rides))::bigint AND ride.ended_at IS NOT NULL
    LEFT JOIN bikes AS bike ON file.sort = 2 AND bike.id = 1 + floor(file.u * (SELECT max(id) FROM bikes))::bigint
    LEFT JOIN listings AS listing ON file.sort = 3 AND listing.id = 1 + floor(file.u * (SELECT max(id) FROM listings))::bigint
) AS medium
WHERE user_id IS NOT NULL;
