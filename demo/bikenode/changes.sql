-- A day of use of bikenode, by round: new rows, late rows into older months, updates, deletes. Repeatable: values come
-- from (seed, round), new ids from the sequences. Everything is written at pg_temp.clock().
--
-- What is deleted here, the application deletes (rides with their samples, media, connections, listings in draft).
-- Posts, messages, accounts and purchases are changed only, so that updated_at tells.

CREATE FUNCTION pg_temp.k(i bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT pg_temp.round() * 1000003::bigint + i $$;

-- ---------------------------------------------------------------------------------------------- updates

UPDATE users SET last_login_at = pg_temp.clock(), last_login_ip = pg_temp.address(id + pg_temp.round()),
    preferences = preferences || jsonb_build_object('theme', pg_temp.pick('change.theme', pg_temp.k(id), ARRAY['dark', 'light', 'sépia'])),
    is_active = pg_temp.u('change.left', pg_temp.k(id)) < 0.98, updated_at = pg_temp.clock()
WHERE pg_temp.u('change.user', pg_temp.k(id)) < 0.05 OR id = 1 + pg_temp.round() % 10;

UPDATE rides SET title = coalesce(title, 'Ride') || ' ✎', visibility = 'public', updated_at = pg_temp.clock()
WHERE pg_temp.u('change.ride', pg_temp.k(id)) < 0.01
   OR id = (SELECT id FROM rides WHERE status = 'completed' ORDER BY pg_temp.u('change.one', pg_temp.k(id)), id LIMIT 1);

-- Rides under way at the last round have ended.
UPDATE rides SET status = 'completed', ended_at = pg_temp.clock(), end_lat = start_lat + 0.02, end_lon = start_lon + 0.01,
    elapsed_s = extract(epoch FROM pg_temp.clock() - started_at)::integer,
    moving_s = (extract(epoch FROM pg_temp.clock() - started_at) * 0.9)::integer,
    distance_m = extract(epoch FROM pg_temp.clock() - started_at) * 5.4, avg_speed_mps = 6, max_speed_mps = 11.5,
    updated_at = pg_temp.clock()
WHERE status = 'recording';

UPDATE messages SET read_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE read_at IS NULL AND pg_temp.u('change.read', pg_temp.k(id)) < 0.3;

UPDATE forum_posts SET body = body || ' (edited)', edited_at = pg_temp.clock(), updated_at = pg_temp.clock(), like_count = like_count + 1
WHERE removed_at IS NULL AND (pg_temp.u('change.post', pg_temp.k(id)) < 0.005 OR id = 1 + pg_temp.round() % 12);

UPDATE transactions SET status = 'paid', paid_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE status = 'pending' AND pg_temp.u('change.sale', pg_temp.k(id)) < 0.5;
UPDATE transactions SET status = 'refunded', refunded_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE status = 'paid' AND pg_temp.u('change.refund', pg_temp.k(id)) < 0.003;

UPDATE listings SET price = (price * 0.95 + 0.01)::numeric(10,2), updated_at = pg_temp.clock()
WHERE status = 'active' AND pg_temp.u('change.price', pg_temp.k(id)) < 0.3;

UPDATE bike_maintenance SET notes = coalesce(notes || E'\n', '') || 'checked again', updated_at = pg_temp.clock()
WHERE pg_temp.u('change.care', pg_temp.k(id)) < 0.003;

UPDATE reviews SET body = 'Changed my mind.', rating = greatest(rating - 1, 1), updated_at = pg_temp.clock()
WHERE pg_temp.u('change.review', pg_temp.k(id)) < 0.01;

-- ---------------------------------------------------------------------------------------------- new rows

INSERT INTO users (public_id, email, username, display_name, password_hash, region, locale, created_at, updated_at)
SELECT pg_temp.uuid('user.new', pg_temp.k(i)), 'new' || pg_temp.k(i) || '@example.org', 'newcomer_' || pg_temp.k(i),
    pg_temp.person_name('user.new', pg_temp.k(i), pg_temp.pick('user.new.country', pg_temp.k(i), ARRAY['IN', 'BR', 'CN', 'DE', 'JP', 'US'])),
    '$argon2id$v=19$m=65536,t=3,p=4$' || md5('salt' || pg_temp.k(i)),
    pg_temp.pick('user.new.region', pg_temp.k(i), ARRAY['us_east', 'eu_west', 'apac'])::region, 'en-US', pg_temp.clock(), pg_temp.clock()
FROM generate_series(1, pg_temp.n(10)) AS i;

-- Rides of the last hours, and rides of five to eight weeks ago that a device uploads only now, each modelled on an
-- earlier ride of its rider and with ten samples and ten readings.
WITH model AS (
    SELECT *, row_number() OVER (ORDER BY pg_temp.u('change.model', pg_temp.k(id)), id) AS i
    FROM rides WHERE status = 'completed'
    ORDER BY i LIMIT pg_temp.n(60)
), fresh AS (
    INSERT INTO rides (user_id, bike_id, title, status, visibility, region, started_at, ended_at, start_lat, start_lon,
        end_lat, end_lon, distance_m, elapsed_s, moving_s, avg_speed_mps, max_speed_mps, device, created_at, updated_at)
    SELECT user_id, bike_id, CASE WHEN i % 3 = 0 THEN 'Late upload ⏳' END, 'completed', visibility, region, at, at + interval '40 minutes',
        start_lat, start_lon, start_lat + 0.03, start_lon - 0.02, 9000 + i, 2400, 2200, (9000 + i) / 2200.0, 12, device,
        pg_temp.clock(), pg_temp.clock()
    FROM model
    CROSS JOIN LATERAL (
        SELECT pg_temp.clock() - interval '1 hour' - pg_temp.u('change.started', pg_temp.k(i)) * interval '9 hours'
            - CASE WHEN i % 3 = 0 THEN interval '35 days' + pg_temp.u('change.late', pg_temp.k(i)) * interval '20 days' ELSE interval '0' END AS at
    ) AS moment
    ORDER BY i
    RETURNING *
), sampled AS (
    INSERT INTO gps_points (ride_id, seq, recorded_at, user_id, lat, lon, speed_mps, received_at)
    SELECT id, seq, started_at + seq * interval '3 minutes', user_id, start_lat + 0.003 * seq, start_lon - 0.002 * seq, avg_speed_mps, pg_temp.clock()
    FROM fresh CROSS JOIN generate_series(1, 10) AS seq
)
INSERT INTO sensor_readings (ride_id, seq, recorded_at, user_id, heart_rate_bpm, temperature_c, received_at)
SELECT id, seq, started_at + seq * interval '3 minutes', user_id, pg_temp.between('change.heart', pg_temp.k(id * 10 + seq), 90, 175), 14.5, pg_temp.clock()
FROM fresh CROSS JOIN generate_series(1, 10) AS seq;

INSERT INTO weather_observations (station, observed_at, lat, lon, temperature_c, humidity_pct, condition, provider, received_at)
SELECT station, pg_temp.clock() - CASE WHEN i % 5 = 0 THEN interval '41 days' ELSE interval '1 hour' END, lat, lon, 11.5, 70, 'cloudy', 'national', pg_temp.clock()
FROM (
    SELECT DISTINCT ON (station) station, lat, lon, dense_rank() OVER (ORDER BY station) AS i
    FROM weather_observations ORDER BY station, observed_at DESC, id
) AS last;

INSERT INTO bike_maintenance (bike_id, performed_on, task, odometer_m, created_at, updated_at)
SELECT id, (pg_temp.clock() - interval '3 days')::date, 'chain replaced', odometer_m, pg_temp.clock(), pg_temp.clock()
FROM bikes ORDER BY pg_temp.u('change.chain', pg_temp.k(id)), id LIMIT pg_temp.n(30);

INSERT INTO forum_posts (parent_id, author_id, forum, body, tags, created_at, updated_at)
SELECT id, author_id % (SELECT max(id) FROM users) + 1, forum, 'New answer in round ' || pg_temp.round() || ' 🙌', ARRAY['new'], pg_temp.clock(), pg_temp.clock()
FROM forum_posts WHERE parent_id IS NULL ORDER BY pg_temp.u('change.answer', pg_temp.k(id)), id LIMIT pg_temp.n(30);

INSERT INTO messages (thread_id, sender_id, recipient_id, body, created_at, updated_at)
SELECT thread_id, recipient_id, sender_id, 'Reply, round ' || pg_temp.round(), pg_temp.clock(), pg_temp.clock()
FROM messages WHERE sender_id IS NOT NULL AND recipient_id IS NOT NULL
ORDER BY pg_temp.u('change.reply', pg_temp.k(id)), id LIMIT pg_temp.n(40);

INSERT INTO connections (follower_id, followee_id, status, created_at, updated_at)
SELECT follower, followee, 'pending', pg_temp.clock(), pg_temp.clock()
FROM (
    SELECT 1 + pg_temp.between('change.follower', pg_temp.k(i), 0, last - 1) AS follower, pg_temp.skewed('change.followee', pg_temp.k(i), last) AS followee
    FROM (SELECT max(id) AS last FROM users WHERE username NOT LIKE 'newcomer%') AS members CROSS JOIN generate_series(1, pg_temp.n(40)) AS i
) AS pair
WHERE follower <> followee
ON CONFLICT DO NOTHING;

INSERT INTO listings (seller_id, category, title, condition, price, currency, status, attributes, created_at, updated_at)
SELECT id, 'lights', 'Front light, 100 lux', 'good', 35.50, 'EUR', CASE id % 2 WHEN 0 THEN 'draft' ELSE 'active' END::listing_status, '{"lux": 100}', pg_temp.clock(), pg_temp.clock()
FROM users ORDER BY pg_temp.u('change.seller', pg_temp.k(id)), id LIMIT pg_temp.n(15);

INSERT INTO transactions (listing_id, buyer_id, seller_id, amount, fee, currency, exchange_rate_usd, status, payment_reference, paid_at, created_at, updated_at)
SELECT id, seller_id % (SELECT max(id) FROM users) + 1, seller_id, price, (price * 0.05)::numeric(12,2), currency, 1.0834, 'paid',
    'pay_r' || pg_temp.round() || '_' || id, pg_temp.clock(), pg_temp.clock(), pg_temp.clock()
FROM listings WHERE status = 'active' ORDER BY pg_temp.u('change.sold', pg_temp.k(id)), id LIMIT pg_temp.n(12);
UPDATE listings SET status = 'sold', updated_at = pg_temp.clock()
WHERE status = 'active' AND id IN (SELECT listing_id FROM transactions WHERE created_at = pg_temp.clock());

INSERT INTO media (id, user_id, ride_id, kind, object_key, content_type, size_bytes, sha256, taken_at, created_at, updated_at)
SELECT key, user_id, id, 'photo', user_id || '/' || key || '.jpg', 'image/jpeg', 2000000 + id % 1000, sha256(convert_to(key::text, 'UTF8')),
    started_at, pg_temp.clock(), pg_temp.clock()
FROM (
    SELECT *, pg_temp.uuid('media.new', pg_temp.k(id)) AS key
    FROM rides WHERE status = 'completed' ORDER BY pg_temp.u('change.photo', pg_temp.k(id)), id LIMIT pg_temp.n(20)
) AS ride;

INSERT INTO access_logs (logged_at, user_id, ip, region, service, method, path, status, duration_ms, user_agent, request_id)
SELECT pg_temp.clock() - i * interval '1 second', 1 + i % 12, pg_temp.address(1 + i % 12), 'eu_west', 'rides', 'GET', '/v2/rides/list', 200,
    pg_temp.between('change.took', pg_temp.k(i), 5, 400), 'bikenode-ios/7.3', pg_temp.uuid('request.new', pg_temp.k(i))
FROM generate_series(1, pg_temp.n(300)) AS i;

-- ---------------------------------------------------------------------------------------------- deletes

DELETE FROM connections
WHERE created_at < pg_temp.clock() AND (pg_temp.u('change.unfollow', pg_temp.k(follower_id * 100003 + followee_id)) < 0.01
   OR (follower_id, followee_id) = (SELECT follower_id, followee_id FROM connections ORDER BY 1, 2 LIMIT 1));

DELETE FROM listings WHERE status = 'draft' AND created_at < pg_temp.clock() AND pg_temp.u('change.discard', pg_temp.k(id)) < 0.2;

DELETE FROM media
WHERE pg_temp.u('change.unphoto', pg_temp.k(ride_id)) < 0.01
   OR id = (SELECT id FROM media WHERE created_at < pg_temp.clock() ORDER BY id LIMIT 1);

-- A rider withdraws rides of this month and the one before, with their samples.
WITH withdrawn AS (
    DELETE FROM rides
    WHERE started_at >= date_trunc('month', pg_temp.clock()) - interval '1 month' AND created_at < pg_temp.clock()
      AND pg_temp.u('change.withdraw', pg_temp.k(id)) < 0.02
    RETURNING id, started_at, ended_at
), points AS (
    DELETE FROM gps_points USING withdrawn
    WHERE ride_id = withdrawn.id AND recorded_at BETWEEN withdrawn.started_at AND withdrawn.ended_at
), readings AS (
    DELETE FROM sensor_readings USING withdrawn
    WHERE ride_id = withdrawn.id AND recorded_at BETWEEN withdrawn.started_at AND withdrawn.ended_at
)
UPDATE media SET ride_id = NULL, updated_at = pg_temp.clock() FROM withdrawn WHERE ride_id = withdrawn.id;
