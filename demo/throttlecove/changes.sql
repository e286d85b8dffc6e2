-- A day of use of throttlecove, by round: new rows, late rows into older months, updates, deletes. Repeatable: values
-- come from (seed, round), new ids from the sequences. Everything is written at pg_temp.clock().
--
-- What is deleted here, the application deletes (follows, memberships, answers, posts, documents, positions after an
-- hour, rides that a rider withdraws). Accounts, maintenance entries, messages and groups are changed only, so that
-- updated_at tells.

CREATE FUNCTION pg_temp.k(i bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT pg_temp.round() * 1000003::bigint + i $$;

-- ---------------------------------------------------------------------------------------------- updates

UPDATE users SET last_seen_at = pg_temp.clock(), last_seen_ip = pg_temp.address(id + pg_temp.round()),
    membership = CASE WHEN id % 40 = pg_temp.round() % 40 THEN 'lifetime' ELSE membership END,
    membership_valid_until = CASE WHEN id % 40 = pg_temp.round() % 40 THEN 'infinity' ELSE membership_valid_until END,
    updated_at = pg_temp.clock()
WHERE pg_temp.u('change.user', pg_temp.k(id)) < 0.05 OR id = 1 + pg_temp.round() % 10;

UPDATE motorcycles SET odometer = odometer + 120, updated_at = pg_temp.clock()
WHERE sold_on IS NULL AND (pg_temp.u('change.machine', pg_temp.k(id)) < 0.03 OR id = 1 + pg_temp.round() % 3);

UPDATE maintenance_schedules SET last_service_date = pg_temp.clock()::date, next_service_date = (pg_temp.clock() + every)::date, updated_at = pg_temp.clock()
WHERE is_active AND next_service_date < pg_temp.clock()::date AND pg_temp.u('change.served', pg_temp.k(id)) < 0.2;

UPDATE maintenance_records SET description = coalesce(description || '; ', '') || 'checked', cost = cost + 0.01, updated_at = pg_temp.clock()
WHERE pg_temp.u('change.work', pg_temp.k(id)) < 0.002
   OR id = (SELECT id FROM maintenance_records ORDER BY pg_temp.u('change.one', pg_temp.k(id)), id LIMIT 1);

UPDATE group_messages SET body = body || ' ✎', edited_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE body IS NOT NULL AND pg_temp.u('change.talk', pg_temp.k(id)) < 0.004;
UPDATE group_messages SET body = NULL, attachments = '[]', withdrawn_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE body IS NOT NULL AND pg_temp.u('change.withdrawn', pg_temp.k(id)) < 0.002;

UPDATE notifications SET read = true, read_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE NOT read AND pg_temp.u('change.read', pg_temp.k(id)) < 0.1;

UPDATE events SET status = CASE WHEN end_time < pg_temp.clock() THEN 'completed' ELSE 'ongoing' END::event_status, updated_at = pg_temp.clock()
WHERE status IN ('scheduled', 'ongoing') AND start_time <= pg_temp.clock();
UPDATE events SET status = 'cancelled', updated_at = pg_temp.clock()
WHERE status = 'scheduled' AND pg_temp.u('change.called_off', pg_temp.k(id)) < 0.05;

UPDATE emergency_alerts SET status = 'acknowledged', acknowledged_at = pg_temp.clock(), response_time = pg_temp.clock() - raised_at, updated_at = pg_temp.clock()
WHERE status = 'open' AND pg_temp.u('change.alarm', pg_temp.k(id)) < 0.5;

UPDATE achievements SET progress = 1, earned_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE earned_at IS NULL AND pg_temp.u('change.earned', pg_temp.k(id)) < 0.02;

UPDATE posts SET like_count = like_count + 1, updated_at = pg_temp.clock() WHERE pg_temp.u('change.liked', pg_temp.k(id)) < 0.02;

UPDATE rides SET title = coalesce(title, 'Ride') || ' ✎', is_public = NOT is_public, updated_at = pg_temp.clock()
WHERE ended_at IS NOT NULL AND (pg_temp.u('change.ride', pg_temp.k(id)) < 0.004
   OR id = (SELECT id FROM rides ORDER BY pg_temp.u('change.one', pg_temp.k(id)), id LIMIT 1));

-- Rides under way at the last round have ended.
UPDATE rides SET ended_at = pg_temp.clock(), duration = (pg_temp.clock() - started_at) * 0.9,
    distance_km = (extract(epoch FROM pg_temp.clock() - started_at) / 3600 * 45)::numeric(8,3), avg_speed_kmh = 50, max_speed_kmh = 96.5,
    end_lat = start_lat + 0.1, end_lon = start_lon - 0.1, updated_at = pg_temp.clock()
WHERE ended_at IS NULL;

-- ---------------------------------------------------------------------------------------------- new rows

INSERT INTO users (public_id, username, email, password_hash, display_name, country, created_at, updated_at)
SELECT pg_temp.uuid('rider.new', pg_temp.k(i)), 'newcomer' || pg_temp.k(i), 'newcomer' || pg_temp.k(i) || '@example.org',
    '$argon2id$v=19$m=65536,t=3,p=4$' || md5('salt' || pg_temp.k(i)), pg_temp.person_name('rider.new', pg_temp.k(i), country), country, pg_temp.clock(), pg_temp.clock()
FROM (SELECT i, pg_temp.pick('rider.new.country', pg_temp.k(i), ARRAY['IN', 'BR', 'CN', 'DE', 'JP', 'US']) AS country FROM generate_series(1, pg_temp.n(10)) AS i) AS newcomer;

INSERT INTO motorcycles (user_id, make, model, model_year, vin_encrypted, vin_hmac, created_at, updated_at)
SELECT id, 'Imperial', '650 R', 2026,
    substring(sha256(convert_to('nonce' || username, 'UTF8')) || sha256(convert_to('vin' || username, 'UTF8')) FROM 1 FOR 45),
    sha256(convert_to('hmac' || username, 'UTF8')), pg_temp.clock(), pg_temp.clock()
FROM users WHERE created_at = pg_temp.clock() ORDER BY id;

INSERT INTO follows (follower_id, followee_id, created_at)
SELECT id, pg_temp.skewed('change.followee', pg_temp.k(id), id - 1), pg_temp.clock()
FROM users WHERE id > 1 ORDER BY pg_temp.u('change.follower', pg_temp.k(id)), id LIMIT pg_temp.n(40)
ON CONFLICT DO NOTHING;

-- Rides of the last hours, and rides of five to eight weeks ago that a telephone uploads only now.
INSERT INTO rides (user_id, motorcycle_id, title, started_at, ended_at, duration, distance_km, avg_speed_kmh, max_speed_kmh,
    start_lat, start_lon, end_lat, end_lon, created_at, updated_at)
SELECT user_id, motorcycle_id, CASE WHEN i % 3 = 0 THEN 'Late upload ⏳' END, at, at + interval '90 minutes', interval '75 minutes',
    61.25 + i, (61.25 + i) / 1.25, 110, start_lat, start_lon, start_lat + 0.2, start_lon - 0.3, pg_temp.clock(), pg_temp.clock()
FROM (
    SELECT *, row_number() OVER (ORDER BY pg_temp.u('change.model', pg_temp.k(id)), id) AS i
    FROM rides WHERE ended_at IS NOT NULL ORDER BY i LIMIT pg_temp.n(120)
) AS model
CROSS JOIN LATERAL (
    SELECT pg_temp.clock() - interval '2 hours' - pg_temp.u('change.started', pg_temp.k(i)) * interval '9 hours'
        - CASE WHEN i % 3 = 0 THEN interval '35 days' + pg_temp.u('change.late', pg_temp.k(i)) * interval '20 days' ELSE interval '0' END AS at
) AS moment
ORDER BY i;

INSERT INTO maintenance_records (motorcycle_id, service, performed_on, odometer, description, parts, labour, created_at, updated_at)
SELECT id, 'chain', (pg_temp.clock() - (id % 50) * interval '1 day')::date, odometer, 'round ' || pg_temp.round(), ARRAY['chain spray'], interval '00:20', pg_temp.clock(), pg_temp.clock()
FROM motorcycles ORDER BY pg_temp.u('change.chain', pg_temp.k(id)), id LIMIT pg_temp.n(60);

INSERT INTO documents (id, user_id, motorcycle_id, kind, filename, object_key, content_type, size_bytes, sha256, created_at, updated_at)
SELECT key, user_id, id, 'invoice', 'Rechnung.pdf', user_id || '/invoice/' || key || '.pdf', 'application/pdf', 50000 + id % 1000, sha256(convert_to(key::text, 'UTF8')), pg_temp.clock(), pg_temp.clock()
FROM (
    SELECT *, pg_temp.uuid('paper.new', pg_temp.k(id)) AS key FROM motorcycles ORDER BY pg_temp.u('change.paper', pg_temp.k(id)), id LIMIT pg_temp.n(20)
) AS machine;

INSERT INTO group_messages (group_id, sender_id, body, sent_at, updated_at)
SELECT group_id, user_id, 'Round ' || pg_temp.round() || ' 👋', pg_temp.clock(), pg_temp.clock()
FROM group_members ORDER BY pg_temp.u('change.says', pg_temp.k(group_id * 100003 + user_id)), group_id, user_id LIMIT pg_temp.n(80);

INSERT INTO group_members (group_id, user_id, joined_at, updated_at)
SELECT pg_temp.skewed('change.joins', pg_temp.k(id), (SELECT max(id) FROM groups)), id, pg_temp.clock(), pg_temp.clock()
FROM users ORDER BY pg_temp.u('change.joiner', pg_temp.k(id)), id LIMIT pg_temp.n(25)
ON CONFLICT DO NOTHING;

INSERT INTO events (group_id, organiser_id, title, status, start_time, end_time, meet_at, time_zone, place, riders, created_at, updated_at)
SELECT id, owner_id, 'Spontaneous ride', 'scheduled', start, start + interval '4 hours', '08:30', 'Europe/Berlin', coalesce(city, 'Nürburg'), '[2,30)', pg_temp.clock(), pg_temp.clock()
FROM (
    SELECT *, date_trunc('hour', pg_temp.clock()) + pg_temp.between('change.start', pg_temp.k(id), 24, 900) * interval '1 hour' AS start
    FROM groups WHERE archived_at IS NULL ORDER BY pg_temp.u('change.event', pg_temp.k(id)), id LIMIT pg_temp.n(12)
) AS club;

INSERT INTO event_rsvps (event_id, user_id, status, responded_at, created_at, updated_at)
SELECT event.id, 1 + (event.id * 7 + i) % 12, 'going', pg_temp.clock(), pg_temp.clock(), pg_temp.clock()
FROM events AS event CROSS JOIN generate_series(1, 3) AS i
WHERE event.created_at = pg_temp.clock()
ON CONFLICT DO NOTHING;

INSERT INTO posts (author_id, shared_id, body, tags, created_at, updated_at)
SELECT author_id % (SELECT max(id) FROM users) + 1, id, 'Shared in round ' || pg_temp.round() || ' 🔁', tags, pg_temp.clock(), pg_temp.clock()
FROM posts ORDER BY pg_temp.u('change.share', pg_temp.k(id)), id LIMIT pg_temp.n(30);

INSERT INTO live_locations (user_id, lat, lon, heading_deg, speed_kmh, battery_pct, recorded_at, created_at)
SELECT 1 + i % 12, 48.1 + 0.001 * (i % 50), 11.5, pg_temp.between('change.heading', pg_temp.k(i), 0, 359), 64.5, 55, pg_temp.clock() - i * interval '10 minutes' / pg_temp.n(600), pg_temp.clock()
FROM generate_series(0, pg_temp.n(600) - 1) AS i;

INSERT INTO emergency_alerts (user_id, ride_id, kind, message, lat, lon, raised_at, created_at, updated_at)
SELECT user_id, id, 'breakdown', 'Round ' || pg_temp.round(), start_lat, start_lon, pg_temp.clock() - interval '5 minutes', pg_temp.clock(), pg_temp.clock()
FROM rides WHERE created_at = pg_temp.clock() ORDER BY id LIMIT 2;

INSERT INTO notifications (user_id, actor_id, kind, payload, created_at, updated_at)
SELECT followee_id, follower_id, 'new_follower', '{"text": "folgt dir jetzt"}', pg_temp.clock(), pg_temp.clock()
FROM follows ORDER BY pg_temp.u('change.told', pg_temp.k(follower_id * 100003 + followee_id)), follower_id, followee_id LIMIT pg_temp.n(150);

-- ---------------------------------------------------------------------------------------------- deletes

-- The hourly job.
DELETE FROM live_locations WHERE recorded_at < pg_temp.clock() - interval '1 hour';

DELETE FROM follows
WHERE created_at < pg_temp.clock() AND (pg_temp.u('change.unfollow', pg_temp.k(follower_id * 100003 + followee_id)) < 0.005
   OR (follower_id, followee_id) = (SELECT follower_id, followee_id FROM follows ORDER BY 1, 2 LIMIT 1));

DELETE FROM group_members
WHERE role = 'member' AND joined_at < pg_temp.clock() AND pg_temp.u('change.leaves', pg_temp.k(group_id * 100003 + user_id)) < 0.01;

DELETE FROM event_rsvps WHERE created_at < pg_temp.clock() AND pg_temp.u('change.unsaid', pg_temp.k(event_id * 100003 + user_id)) < 0.005;

DELETE FROM posts WHERE created_at < pg_temp.clock() AND pg_temp.u('change.unpost', pg_temp.k(id)) < 0.003;

DELETE FROM documents
WHERE created_at < pg_temp.clock() AND id = (SELECT id FROM documents WHERE kind = 'photo' ORDER BY id LIMIT 1);

DELETE FROM rides
WHERE started_at >= date_trunc('month', pg_temp.clock()) - interval '1 month' AND created_at < pg_temp.clock()
  AND pg_temp.u('change.withdraw', pg_temp.k(id)) < 0.02;
