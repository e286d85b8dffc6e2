-- Thirty months of throttlecove, ending today. Functions of demo/helpers.sql give every value, so that a seed, a scale
-- and a day always make the same rows.
--
-- Ids follow time: row i of n stands at part(salt, i, n) of the history, and whoever acts in it is one of the
-- users known by then. Low ids joined first and do the most; group 1 is the largest.

CALL pg_temp.make_months('rides', '{table}_y{year}m{month}');

-- Where riders live, and where groups and events meet.
CREATE TEMP TABLE places ON COMMIT DROP AS
SELECT * FROM (VALUES
    (1, 'IN', 'Bengaluru', 'Asia/Kolkata', 'INR', 12.9716, 77.5946), (2, 'IN', 'लेह', 'Asia/Kolkata', 'INR', 34.1526, 77.5771),
    (3, 'IN', 'Goa', 'Asia/Kolkata', 'INR', 15.2993, 74.1240), (4, 'DE', 'Sankt Andreasberg', 'Europe/Berlin', 'EUR', 51.7100, 10.5200),
    (5, 'DE', 'Nürburg', 'Europe/Berlin', 'EUR', 50.3436, 6.9521), (6, 'DE', 'München', 'Europe/Berlin', 'EUR', 48.1351, 11.5820),
    (7, 'BR', 'São Joaquim', 'America/Sao_Paulo', 'BRL', -28.2933, -49.9322), (8, 'BR', 'Curitiba', 'America/Sao_Paulo', 'BRL', -25.4284, -49.2733),
    (9, 'US', 'Asheville', 'America/New_York', 'USD', 35.5951, -82.5515), (10, 'US', 'Deals Gap', 'America/New_York', 'USD', 35.4676, -83.9196),
    (11, 'US', 'Malibu', 'America/Los_Angeles', 'USD', 34.0259, -118.7798), (12, 'JP', '箱根', 'Asia/Tokyo', 'JPY', 35.2324, 139.1069),
    (13, 'CN', '大理', 'Asia/Shanghai', 'CNY', 25.6065, 100.2676), (14, 'CN', '重庆', 'Asia/Shanghai', 'CNY', 29.5630, 106.5516)
) AS place (id, country, name, time_zone, currency, lat, lon);

CREATE TEMP TABLE homes ON COMMIT DROP AS
SELECT i AS user_id, place.country, place.name AS city, place.currency, place.lat, place.lon
FROM generate_series(1, pg_temp.n(2500)) AS i
JOIN places AS place ON place.id = pg_temp.between('rider.home', i, 1, 14);
ANALYZE homes;

-- Nine riders in ten have entered a machine; the first of user i has id i.
CREATE FUNCTION pg_temp.has_machine(user_id bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT user_id <= 3 OR pg_temp.u('rider.machine', user_id) >= 0.1 $$;

-- ---------------------------------------------------------------------------------------------- people

INSERT INTO users (id, public_id, username, email, phone, password_hash, display_name, bio, avatar_key, birth_date,
    blood_type, city, country, licence_classes, experience, membership, membership_valid_until, emergency_contact,
    settings, quiet_from, quiet_until, status, last_seen_at, last_seen_ip, created_at, updated_at)
SELECT i, pg_temp.uuid('rider', i), handle, handle || '@' || pg_temp.pick('rider.domain', i, ARRAY['example.com', 'example.org', 'moto.example.in']),
    CASE WHEN pg_temp.u('rider.phoned', i) < 0.8 THEN
        CASE country WHEN 'IN' THEN '+91' WHEN 'DE' THEN '+49' WHEN 'BR' THEN '+55' WHEN 'US' THEN '+1' WHEN 'JP' THEN '+81' ELSE '+86' END || (7000000000 + i * 7919) END,
    '$argon2id$v=19$m=65536,t=3,p=4$' || left(md5('salt' || i), 22) || '$' || md5('a' || i) || left(md5('b' || i), 11),
    pg_temp.person_name('rider', i, country),
    CASE WHEN pg_temp.u('rider.bio', i) < 0.4 THEN pg_temp.pick('rider.words', i, ARRAY['Twisties > motorways 🏍️', 'Seit 1987 auf zwei Rädern', 'Estrada é liberdade', 'कम बोलो, ज़्यादा चलाओ', '摩旅中国', E'Mechanic.\nCoffee first.']) END,
    CASE WHEN pg_temp.u('rider.portrait', i) < 0.5 THEN 'avatars/' || i || '.webp' END,
    CASE WHEN pg_temp.u('rider.birth', i) < 0.85 THEN date '1948-02-29' + pg_temp.between('rider.born', i, 0, 21000)::integer END,
    CASE WHEN pg_temp.u('rider.blood', i) < 0.4 THEN pg_temp.pick('rider.type', i, ARRAY['0-', '0+', '0+', 'A+', 'A+', 'A-', 'B+', 'B-', 'AB+', 'AB-']) END,
    CASE WHEN pg_temp.u('rider.city', i) < 0.9 THEN city END, country,
    CASE pg_temp.between('rider.licence', i, 0, 3) WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['A1'] WHEN 2 THEN ARRAY['A1', 'A2'] ELSE ARRAY['AM', 'A', 'B'] END,
    pg_temp.pick('rider.experience', i, ARRAY['learner', 'intermediate', 'intermediate', 'experienced', 'experienced', 'expert'])::experience_level,
    tier::membership_tier,
    CASE WHEN tier IN ('guest', 'lifetime') THEN 'infinity'
        ELSE date_trunc('day', pg_temp.clock()) + pg_temp.between('rider.until', i, -300, 365) * interval '1 day' END,
    CASE WHEN pg_temp.u('rider.emergency', i) < 0.7 THEN jsonb_build_object('name', pg_temp.person_name('contact', i, country), 'phone', '+49' || (1500000000 + i * 6151), 'relation', pg_temp.pick('contact.relation', i, ARRAY['partner', 'parent', 'friend'])) END,
    jsonb_build_object('units', CASE country WHEN 'US' THEN 'mi' ELSE 'km' END, 'crash_detection', i % 3 > 0, 'share_live', pg_temp.pick('rider.share', i, ARRAY['nobody', 'friends', 'groups'])),
    CASE WHEN quiet THEN time '21:30' + pg_temp.between('rider.quiet', i, 0, 4) * interval '30 minutes' END,
    CASE WHEN quiet THEN time '06:00:00.5' END,
    CASE WHEN pg_temp.u('rider.status', i) < 0.95 THEN 'active' WHEN pg_temp.u('rider.status', i) < 0.97 THEN 'suspended' ELSE 'deactivated' END::account_status,
    joined + power(pg_temp.u('rider.seen', i), 0.3) * (pg_temp.clock() - joined),
    CASE WHEN pg_temp.u('rider.online', i) < 0.9 THEN pg_temp.address(i) END,
    joined, joined + CASE WHEN pg_temp.u('rider.changed', i) < 0.8 THEN pg_temp.u('rider.change', i) * (pg_temp.clock() - joined) ELSE interval '0' END
FROM (
    SELECT user_id AS i, country, city,
        pg_temp.pick('rider.word', user_id, ARRAY['apex', 'throttle', 'bullet', 'kurve', 'estrada', 'thumper', 'redline', 'torque'])
            || pg_temp.pick('rider.joint', user_id, ARRAY['.', '_', '']) || pg_temp.pick('rider.noun', user_id, ARRAY['wolf', 'raja', 'onca', 'falke', 'ryu', 'ghost']) || user_id AS handle,
        pg_temp.pick('rider.tier', user_id, ARRAY['guest', 'guest', 'guest', 'guest', 'rider', 'rider', 'rider', 'patron', 'patron', 'lifetime']) AS tier,
        pg_temp.u('rider.rests', user_id) < 0.35 AS quiet,
        pg_temp.along(greatest(user_id - 2, 0)::double precision / pg_temp.n(2500)) AS joined
    FROM homes
) AS person;
ANALYZE users;

INSERT INTO follows (follower_id, followee_id, notify, created_at)
SELECT DISTINCT ON (follower_id, followee_id) follower_id, followee_id, pg_temp.u('follow.notify', i) < 0.8, at
FROM (
    SELECT i, at, followee_id, 1 + (followee_id - 1 + pg_temp.between('follow.by', i, 1, known - 1)) % known AS follower_id
    FROM (
        SELECT i, pg_temp.along(part) AS at, pg_temp.known(part, pg_temp.n(2500)) AS known,
            pg_temp.skewed('follow.whom', i, pg_temp.known(part, pg_temp.n(2500))) AS followee_id
        FROM (SELECT i, pg_temp.part('follow', i, pg_temp.n(15000)) AS part FROM generate_series(1, pg_temp.n(15000)) AS i) AS numbered
    ) AS timed
) AS follow
ORDER BY follower_id, followee_id, i;

INSERT INTO achievements (id, user_id, code, title, points, progress, details, earned_at, created_at, updated_at)
SELECT row_number() OVER (ORDER BY person.id, badge.code), person.id, badge.code, badge.title, badge.points,
    CASE WHEN earned THEN 1 ELSE pg_temp.between('badge.progress', key, 0, 9999) / 10000.0 END,
    jsonb_build_object('count', pg_temp.between('badge.count', key, 0, 500)),
    CASE WHEN earned THEN at END, person.created_at, CASE WHEN earned THEN at ELSE person.created_at END
FROM users AS person
CROSS JOIN (VALUES
    (1, 'km_1000', 'First thousand', 10), (2, 'km_10000', 'Zehntausender', 50), (3, 'alpine_10', 'Ten passes ⛰️', 40),
    (4, 'night_owl', 'Night owl', 15), (5, 'monsoon', 'बरसाती', 30), (6, 'helper', 'Road angel', 60)
) AS badge (number, code, title, points)
CROSS JOIN LATERAL (SELECT person.id * 8 + badge.number AS key) AS keyed
CROSS JOIN LATERAL (
    SELECT pg_temp.u('badge.earned', key) < 0.6 AS earned, person.created_at + pg_temp.u('badge.at', key) * (pg_temp.clock() - person.created_at) AS at
) AS way
WHERE pg_temp.u('badge.begun', key) < 0.45;

-- ---------------------------------------------------------------------------------------------- machines

-- The bytes of vin_encrypted are shaped as the application writes them: nonce (12), ciphertext of 17 (17), tag (16).
INSERT INTO motorcycles (id, user_id, nickname, make, model, model_year, engine_cc, vin_encrypted, vin_hmac,
    licence_plate, colour, odometer, power_band, insured_during, specifications, purchased_on, sold_on, created_at, updated_at)
SELECT i, owner.id,
    CASE WHEN pg_temp.u('machine.named', i) < 0.5 THEN pg_temp.pick('machine.name', i, ARRAY['Dhanno', 'Brunhilde', 'Tempestade', '黑豹', 'Rusty', 'La Bête']) END,
    make, pg_temp.pick('machine.model', i, ARRAY['350 Classic', '500 Twin', '650 R', '800 GS', '1200 Tourer', 'E-1']),
    pg_temp.between('machine.year', i, 1962, 2026),
    CASE WHEN pg_temp.u('machine.electric', i) >= 0.05 THEN pg_temp.pick('machine.cc', i, ARRAY['125', '350', '411', '650', '799', '1254'])::integer END,
    substring(sha256(convert_to(current_setting('demo.seed') || 'nonce' || i, 'UTF8')) || sha256(convert_to(current_setting('demo.seed') || 'vin' || i, 'UTF8')) FROM 1 FOR 45),
    sha256(convert_to(current_setting('demo.seed') || 'hmac' || i, 'UTF8')),
    CASE WHEN pg_temp.u('machine.plated', i) < 0.7 THEN
        CASE home.country WHEN 'IN' THEN 'KA-' || lpad((i % 60)::text, 2, '0') || '-EV-' || lpad((i % 10000)::text, 4, '0') WHEN 'DE' THEN 'M-ÄÖ ' || i % 10000 ELSE 'TC ' || i END END,
    pg_temp.pick('machine.colour', i, ARRAY['black', 'rot', 'gunmetal', 'azul', 'British green']),
    floor(90000 * power(pg_temp.u('machine.odometer', i), 2))::integer,
    CASE WHEN pg_temp.u('machine.band', i) < 0.6 THEN int4range(pg_temp.between('machine.low', i, 20, 50)::integer * 100, pg_temp.between('machine.high', i, 60, 130)::integer * 100) END,
    CASE WHEN pg_temp.u('machine.insured', i) < 0.3 THEN NULL
        WHEN pg_temp.u('machine.insured', i) < 0.5 THEN tstzrange(date_trunc('day', added), NULL)
        ELSE tstzrange(date_trunc('day', added), date_trunc('day', added) + pg_temp.between('machine.insurance', i, 1, 3) * interval '1 year') END,
    jsonb_build_object('seat_mm', pg_temp.between('machine.seat', i, 700, 900), 'tank_l', (pg_temp.between('machine.tank', i, 100, 240) / 10.0)::numeric(4,1)),
    (added - pg_temp.u('machine.age', i) * interval '6 years')::date,
    CASE WHEN pg_temp.u('machine.sold', i) < 0.06 THEN (added + pg_temp.u('machine.parting', i) * (pg_temp.clock() - added))::date END,
    added, added + CASE WHEN pg_temp.u('machine.edited', i) < 0.5 THEN pg_temp.u('machine.edit', i) * (pg_temp.clock() - added) ELSE interval '0' END
FROM (
    SELECT i, CASE WHEN i <= pg_temp.n(2500) THEN i ELSE pg_temp.skewed('machine.owner', i, pg_temp.n(2500)) END AS user_id,
        pg_temp.pick('machine.make', i, ARRAY['Bajwa', 'Rheinwerk', 'Aquila', 'Nippon Kogyo', 'Imperial', 'Prairie']) AS make
    FROM generate_series(1, pg_temp.n(3500)) AS i
    WHERE i > pg_temp.n(2500) OR pg_temp.has_machine(i)
) AS machine
JOIN users AS owner ON owner.id = machine.user_id
JOIN homes AS home ON home.user_id = machine.user_id
CROSS JOIN LATERAL (SELECT owner.created_at + power(pg_temp.u('machine.added', i), 4) * (pg_temp.clock() - owner.created_at) AS added) AS at;
ANALYZE motorcycles;

INSERT INTO documents (id, user_id, motorcycle_id, kind, filename, object_key, content_type, size_bytes, sha256, valid_until, created_at, updated_at)
SELECT id, user_id, CASE WHEN kind <> 'licence' THEN machine_id END, kind::document_kind,
    pg_temp.pick('paper.name', i, ARRAY['scan', 'Führerschein', 'RC front', 'apólice 2025', 'invoice (1)', 'IMG_0042']) || suffix,
    user_id || '/' || kind || '/' || id || suffix, CASE suffix WHEN '.pdf' THEN 'application/pdf' ELSE 'image/jpeg' END,
    pg_temp.between('paper.size', i, 20000, 4000000), sha256(convert_to(current_setting('demo.seed') || 'paper' || i, 'UTF8')),
    CASE WHEN kind IN ('insurance', 'licence') AND pg_temp.u('paper.expires', i) < 0.8 THEN date_trunc('day', at) + pg_temp.between('paper.valid', i, 1, 5) * interval '1 year' ELSE 'infinity' END,
    at, at
FROM (
    SELECT i, pg_temp.uuid('paper', i) AS id, machine.user_id, machine.id AS machine_id, greatest(pg_temp.along(part), machine.created_at) AS at,
        pg_temp.pick('paper.kind', i, ARRAY['registration', 'insurance', 'licence', 'invoice', 'invoice', 'invoice', 'photo']) AS kind,
        pg_temp.pick('paper.suffix', i, ARRAY['.pdf', '.jpg']) AS suffix
    FROM (SELECT i, pg_temp.part('paper', i, pg_temp.n(5000)) AS part FROM generate_series(1, pg_temp.n(5000)) AS i) AS numbered
    JOIN motorcycles AS machine ON machine.id = pg_temp.skewed('paper.machine', i, pg_temp.known(part, pg_temp.n(2500)))
) AS paper;
ANALYZE documents;

-- One entry in six is made weeks after the work.
INSERT INTO maintenance_records (id, motorcycle_id, document_id, service, performed_on, odometer, description, workshop, parts, labour, cost, currency, created_at, updated_at)
SELECT i, machine.id, invoice.id,
    pg_temp.pick('work.service', i, ARRAY['oil_change', 'oil_change', 'chain', 'chain', 'tyres', 'brakes', 'valves', 'battery', 'inspection', 'other'])::service_type,
    (at - CASE WHEN pg_temp.u('work.late', i) < 0.16 THEN pg_temp.u('work.lag', i) * interval '70 days' ELSE interval '0' END)::date,
    CASE WHEN pg_temp.u('work.read', i) < 0.85 THEN floor(machine.odometer * pg_temp.u('work.odometer', i))::integer END,
    CASE WHEN pg_temp.u('work.noted', i) < 0.35 THEN pg_temp.pick('work.note', i, ARRAY['10W-40, 3.1 l', 'Ventilspiel eingestellt', 'pastilhas dianteiras novas', 'चेन लूब किया', 'torqued to 98 N·m', 'old tyre was "square" 😬']) END,
    CASE WHEN paid THEN pg_temp.pick('work.shop', i, ARRAY['Sharma Auto Works', 'Zweirad Groß', 'Oficina do Beto', 'Twin Cam Garage', '李师傅摩修']) END,
    CASE pg_temp.between('work.parts', i, 0, 3) WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['oil filter'] WHEN 2 THEN ARRAY['chain', 'sprocket 15T'] ELSE ARRAY['pads, front', 'pads, rear', 'DOT 4'] END,
    CASE WHEN pg_temp.u('work.timed', i) < 0.6 THEN pg_temp.between('work.labour', i, 1, 32) * interval '15 minutes' END,
    CASE WHEN paid THEN (10 + 900 * power(pg_temp.u('work.cost', i), 3))::numeric(10,2) END, CASE WHEN paid THEN home.currency END,
    at, at + CASE WHEN pg_temp.u('work.edited', i) < 0.12 THEN pg_temp.u('work.edit', i) * (pg_temp.clock() - at) ELSE interval '0' END
FROM (
    SELECT i, part, pg_temp.u('work.paid', i) < 0.65 AS paid
    FROM (SELECT i, pg_temp.part('work', i, pg_temp.n(40000)) AS part FROM generate_series(1, pg_temp.n(40000)) AS i) AS numbered
) AS work
JOIN motorcycles AS machine ON machine.id = pg_temp.skewed('work.machine', i, pg_temp.known(part, pg_temp.n(2500)))
JOIN homes AS home ON home.user_id = machine.user_id
LEFT JOIN documents AS invoice ON work.i % 8 = 0 AND invoice.id = pg_temp.uuid('paper', 1 + i / 8) AND invoice.kind = 'invoice' AND invoice.motorcycle_id = machine.id
CROSS JOIN LATERAL (SELECT greatest(pg_temp.along(part), machine.created_at) AS at) AS moment
ORDER BY i;

INSERT INTO maintenance_schedules (id, motorcycle_id, service, every, every_km, last_service_date, next_service_date, next_service_km, remind_at, is_active, created_at, updated_at)
SELECT row_number() OVER (ORDER BY machine.id, plan.service), machine.id, plan.service::service_type, plan.every, plan.every_km, last,
    (last + plan.every)::date, CASE WHEN plan.every_km IS NOT NULL THEN machine.odometer + pg_temp.between('plan.left', key, 0, plan.every_km) END,
    time '07:00' + pg_temp.between('plan.at', key, 0, 26) * interval '30 minutes', machine.sold_on IS NULL AND pg_temp.u('plan.active', key) < 0.93,
    machine.created_at, greatest(machine.created_at, least(last::timestamptz, pg_temp.clock()))
FROM motorcycles AS machine
CROSS JOIN (VALUES
    (1, 'oil_change', interval '6 months', 6000), (2, 'chain', NULL, 800), (3, 'inspection', interval '1 year', NULL), (4, 'battery', interval '2 years 6 months', NULL)
) AS plan (number, service, every, every_km)
CROSS JOIN LATERAL (SELECT machine.id * 4 + plan.number AS key) AS keyed
CROSS JOIN LATERAL (
    SELECT CASE WHEN plan.every IS NOT NULL THEN (pg_temp.clock() - pg_temp.u('plan.last', key) * 1.05 * plan.every)::date END AS last
) AS done
WHERE pg_temp.u('plan.made', key) < 0.6;

-- ---------------------------------------------------------------------------------------------- groups

INSERT INTO groups (id, owner_id, slug, name, description, visibility, city, country, tags, member_limit, archived_at, created_at, updated_at)
SELECT i, pg_temp.skewed('club.owner', i, pg_temp.known(part, pg_temp.n(2500))), 'club-' || i,
    pg_temp.pick('club.kind', i, ARRAY['Riders of', 'Stammtisch', 'Moto Clube', 'Royal Riders', '骑士团']) || ' ' || place.name,
    CASE WHEN pg_temp.u('club.described', i) < 0.7 THEN 'Every Sunday, ' || pg_temp.pick('club.text', i, ARRAY['all machines welcome.', 'nur Oldtimer.', 'no egos 🤘', 'saída às 7h.']) END,
    pg_temp.pick('club.visibility', i, ARRAY['public', 'public', 'public', 'request', 'secret'])::group_visibility,
    place.name, place.country, CASE i % 3 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['touring'] ELSE ARRAY['vintage', 'weekend', 'straße'] END,
    CASE WHEN i % 4 = 0 THEN pg_temp.between('club.limit', i, 20, 500) END,
    CASE WHEN pg_temp.u('club.closed', i) < 0.05 THEN at + pg_temp.u('club.end', i) * (pg_temp.clock() - at) END,
    at, at + CASE WHEN pg_temp.u('club.closed', i) < 0.05 THEN pg_temp.u('club.end', i) ELSE pg_temp.u('club.change', i) * 0.5 END * (pg_temp.clock() - at)
FROM (
    SELECT i, part, pg_temp.along(part) AS at
    FROM (SELECT i, pg_temp.part('club', i, pg_temp.n(200)) AS part FROM generate_series(1, pg_temp.n(200)) AS i) AS numbered
) AS club
JOIN places AS place ON place.id = pg_temp.between('club.place', i, 1, 14);

INSERT INTO group_members (group_id, user_id, role, muted_until, joined_at, updated_at)
SELECT DISTINCT ON (group_id, user_id) group_id, user_id, role::group_role,
    CASE WHEN pg_temp.u('member.muted', i) < 0.9 THEN '-infinity' WHEN pg_temp.u('member.muted', i) < 0.95 THEN 'infinity' ELSE at + interval '8 hours' END, at, at
FROM (
    SELECT id AS i, id AS group_id, owner_id AS user_id, 'owner' AS role, created_at AS at FROM groups
    UNION ALL
    SELECT 1000000000 + i, club.id, pg_temp.skewed('member.user', i, pg_temp.known(part, pg_temp.n(2500))),
        pg_temp.pick('member.role', i, ARRAY['member', 'member', 'member', 'member', 'member', 'member', 'member', 'member', 'road_captain', 'moderator']),
        greatest(pg_temp.along(part), club.created_at)
    FROM (SELECT i, pg_temp.part('member', i, pg_temp.n(12000)) AS part FROM generate_series(1, pg_temp.n(12000)) AS i) AS numbered
    JOIN groups AS club ON club.id = pg_temp.skewed('member.group', i, pg_temp.n(200))
) AS membership
ORDER BY group_id, user_id, i;

INSERT INTO group_messages (id, group_id, sender_id, reply_to_id, body, attachments, sent_at, edited_at, withdrawn_at, updated_at)
SELECT i, club.id, pg_temp.skewed('talk.sender', i, pg_temp.known(part, pg_temp.n(2500))),
    CASE WHEN answers > 0 AND pg_temp.skewed('talk.group', answers, pg_temp.n(200)) = club.id THEN answers END,
    CASE WHEN NOT withdrawn THEN pg_temp.pick('talk.body', i, ARRAY['7 Uhr am Treffpunkt', 'running late, start without me', 'chuva na serra 🌧️ cuidado', 'भाई, पेट्रोल कहाँ?', '出发！', 'Who has a 27 mm socket?', '👍', E'Route:\n1) pass\n2) lake']) END,
    CASE WHEN NOT withdrawn AND pg_temp.u('talk.card', i) < 0.05 THEN jsonb_build_array(jsonb_build_object('pin', jsonb_build_array(round((10 + 40 * pg_temp.u('talk.lat', i))::numeric, 5), 77.5))) ELSE '[]' END,
    at, CASE WHEN edited AND NOT withdrawn THEN later END, CASE WHEN withdrawn THEN later END, CASE WHEN edited OR withdrawn THEN later ELSE at END
FROM (
    SELECT i, part, i - pg_temp.between('talk.to', i, 1, 20) AS answers, pg_temp.u('talk.edited', i) < 0.06 AS edited, pg_temp.u('talk.withdrawn', i) < 0.02 AS withdrawn
    FROM (SELECT i, pg_temp.part('talk', i, pg_temp.n(25000)) AS part FROM generate_series(1, pg_temp.n(25000)) AS i) AS numbered
) AS message
JOIN groups AS club ON club.id = pg_temp.skewed('talk.group', i, pg_temp.n(200))
CROSS JOIN LATERAL (SELECT greatest(pg_temp.along(part), club.created_at) AS at) AS moment
CROSS JOIN LATERAL (SELECT least(at + power(pg_temp.u('talk.later', i), 4) * interval '30 days', pg_temp.clock()) AS later) AS after
ORDER BY i;

-- ---------------------------------------------------------------------------------------------- events

-- An event starts up to sixty days after it was announced; some lie ahead of today.
INSERT INTO events (id, group_id, organiser_id, title, description, status, start_time, end_time, meet_at, time_zone, place, lat, lon, riders, entry_fee, currency, route, created_at, updated_at)
SELECT i, CASE WHEN pg_temp.u('event.open', i) >= 0.2 THEN club.id END, coalesce(club.owner_id, 1),
    pg_temp.pick('event.title', i, ARRAY['Sunday loop', 'Alpenpässe', 'Rolê da Serra', 'Ladakh 2.0', '环湖骑行', 'Night ride 🌙']),
    CASE WHEN pg_temp.u('event.described', i) < 0.6 THEN 'Full tank, full gear.' END,
    CASE WHEN pg_temp.u('event.off', i) < 0.1 THEN 'cancelled' WHEN starts + lasts < pg_temp.clock() THEN 'completed'
        WHEN starts < pg_temp.clock() THEN 'ongoing' WHEN pg_temp.u('event.draft', i) < 0.2 THEN 'draft' ELSE 'scheduled' END::event_status,
    starts, CASE WHEN pg_temp.u('event.ends', i) < 0.9 THEN starts + lasts END,
    ((starts - interval '30 minutes') AT TIME ZONE place.time_zone)::time, place.time_zone, place.name,
    place.lat + 0.05 * pg_temp.u('event.lat', i), place.lon + 0.05 * pg_temp.u('event.lon', i),
    CASE WHEN i % 3 = 0 THEN int4range(2, NULL) ELSE int4range(pg_temp.between('event.min', i, 2, 6)::integer, pg_temp.between('event.max', i, 8, 80)::integer, '[]') END,
    CASE WHEN i % 5 = 0 THEN pg_temp.between('event.fee', i, 5, 60) ELSE 0 END, CASE WHEN i % 5 = 0 THEN place.currency END,
    CASE WHEN pg_temp.u('event.routed', i) < 0.7 THEN jsonb_build_object('km', pg_temp.between('event.km', i, 40, 600), 'stops', jsonb_build_array('Fuel', 'चाय')) END,
    at, least(greatest(at, starts), pg_temp.clock())
FROM (
    SELECT i, part, date_trunc('hour', pg_temp.along(part) + pg_temp.u('event.lead', i) * interval '60 days') + interval '30 minutes' AS starts,
        pg_temp.between('event.lasts', i, 2, 60) * interval '1 hour' AS lasts
    FROM (SELECT i, pg_temp.part('event', i, pg_temp.n(1500)) AS part FROM generate_series(1, pg_temp.n(1500)) AS i) AS numbered
) AS event
JOIN groups AS club ON club.id = pg_temp.skewed('event.group', i, pg_temp.n(200))
JOIN places AS place ON place.id = pg_temp.between('event.place', i, 1, 14)
CROSS JOIN LATERAL (SELECT least(pg_temp.along(part), starts) AS at) AS moment;

INSERT INTO event_rsvps (event_id, user_id, status, pillion, note, responded_at, created_at, updated_at)
SELECT DISTINCT ON (event_id, user_id) event_id, user_id,
    pg_temp.pick('answer.status', i, ARRAY['going', 'going', 'going', 'going', 'maybe', 'declined', 'waitlisted'])::rsvp_status,
    pg_temp.u('answer.pillion', i) < 0.1, CASE WHEN pg_temp.u('answer.noted', i) < 0.1 THEN pg_temp.pick('answer.note', i, ARRAY['komme später', 'bringing chai ☕', 'talvez']) END,
    again, at, again
FROM (
    SELECT i, event.id AS event_id, pg_temp.skewed('answer.user', i, pg_temp.known(part, pg_temp.n(2500))) AS user_id, at,
        at + CASE WHEN pg_temp.u('answer.changed', i) < 0.2 THEN pg_temp.u('answer.again', i) * least(pg_temp.clock() - at, interval '5 days') ELSE interval '0' END AS again
    FROM (SELECT i, pg_temp.part('answer', i, pg_temp.n(12000)) AS part FROM generate_series(1, pg_temp.n(12000)) AS i) AS numbered
    JOIN events AS event ON event.id = least(pg_temp.n(1500), 1 + floor(part * pg_temp.n(1500))::bigint) AND event.status <> 'draft'
    CROSS JOIN LATERAL (SELECT greatest(pg_temp.along(part), event.created_at) AS at) AS moment
) AS answer
ORDER BY event_id, user_id, i;

INSERT INTO posts (id, author_id, group_id, shared_id, body, photo_key, tags, like_count, created_at, updated_at)
SELECT i, author_id, CASE WHEN pg_temp.u('post.in', i) < 0.4 THEN pg_temp.skewed('post.group', i, pg_temp.n(200)) END,
    CASE WHEN i > 5 AND pg_temp.u('post.shares', i) < 0.1 THEN i - pg_temp.skewed('post.shared', i, i - 1) END,
    pg_temp.pick('post.body', i, ARRAY['What a day! 🏔️🏍️', 'Erste Ausfahrt des Jahres', 'Serra do Rio do Rastro, de novo', 'लेह पहुँच गए', 'Chain snapped 40 km from anywhere.', '落日与单车', 'For sale: panniers; "like new"']),
    CASE WHEN pg_temp.u('post.photo', i) < 0.5 THEN 'posts/' || author_id || '/' || i || '.jpg' END,
    CASE pg_temp.between('post.tags', i, 0, 2) WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['roadtrip'] ELSE ARRAY['wrenching', 'größer', 'a,b'] END,
    floor(80 * power(pg_temp.u('post.likes', i), 7))::integer, at,
    at + CASE WHEN pg_temp.u('post.edited', i) < 0.3 THEN pg_temp.u('post.edit', i) * (pg_temp.clock() - at) ELSE interval '0' END
FROM (
    SELECT i, pg_temp.along(part) AS at, pg_temp.skewed('post.author', i, pg_temp.known(part, pg_temp.n(2500))) AS author_id
    FROM (SELECT i, pg_temp.part('post', i, pg_temp.n(10000)) AS part FROM generate_series(1, pg_temp.n(10000)) AS i) AS numbered
) AS post;

-- ---------------------------------------------------------------------------------------------- on the road

-- A ride that has not ended by now is under way. Rides 7 and 8 of every 200 start on the first and in the last
-- microsecond of their month. One in ten is uploaded days late.
INSERT INTO rides (id, user_id, motorcycle_id, event_id, title, started_at, ended_at, duration, distance_km, avg_speed_kmh,
    max_speed_kmh, max_lean_deg, start_lat, start_lon, end_lat, end_lon, is_public, created_at, updated_at)
SELECT i, user_id, CASE WHEN pg_temp.has_machine(user_id) AND pg_temp.u('ride.machine', i) < 0.9 THEN user_id END,
    CASE WHEN pg_temp.u('ride.event', i) < 0.05 THEN least(pg_temp.n(1500), 1 + floor(part * pg_temp.n(1500))::bigint) END,
    CASE WHEN pg_temp.u('ride.titled', i) < 0.5 THEN pg_temp.pick('ride.title', i, ARRAY['Hausrunde', 'Airport run', 'Ghats in the rain', 'Bate e volta', '山路', 'Test ride 🔧']) END,
    started_at, CASE WHEN ended THEN started_at + elapsed END, CASE WHEN ended THEN ridden END,
    CASE WHEN ended THEN distance::numeric(8,3) END, CASE WHEN ended THEN speed::numeric(5,1) END,
    CASE WHEN ended THEN (speed * (1.2 + 0.8 * pg_temp.u('ride.top', i)))::numeric(5,1) END,
    CASE WHEN ended AND pg_temp.u('ride.leans', i) < 0.5 THEN 10 + 42 * pg_temp.u('ride.lean', i) END,
    lat0, lon0,
    CASE WHEN ended THEN lat0 + distance * 0.004 * cos(bearing) END, CASE WHEN ended THEN lon0 + distance * 0.004 * sin(bearing) END,
    pg_temp.u('ride.public', i) < 0.4, created_at,
    created_at + CASE WHEN pg_temp.u('ride.edited', i) < 0.1 THEN pg_temp.u('ride.edit', i) * least(pg_temp.clock() - created_at, interval '30 days') ELSE interval '0' END
FROM (
    SELECT i, user_id, part, started_at, distance, speed, elapsed, ridden,
        home.lat + 0.1 * (pg_temp.u('ride.lat', i) - 0.5) AS lat0, home.lon + 0.1 * (pg_temp.u('ride.lon', i) - 0.5) AS lon0,
        6.2831853 * pg_temp.u('ride.bearing', i) AS bearing, started_at + elapsed <= pg_temp.clock() AS ended,
        CASE WHEN started_at + elapsed > pg_temp.clock() THEN started_at
            WHEN pg_temp.u('ride.late', i) < 0.1 THEN least(started_at + elapsed + pg_temp.u('ride.lag', i) * interval '20 days', pg_temp.clock())
            ELSE least(started_at + elapsed + pg_temp.u('ride.upload', i) * interval '10 minutes', pg_temp.clock()) END AS created_at
    FROM (
        SELECT i, part, pg_temp.skewed('ride.user', i, pg_temp.known(part, pg_temp.n(2500))) AS user_id,
            CASE i % 200 WHEN 7 THEN date_trunc('month', least(pg_temp.along(part) + interval '1 month', pg_temp.clock()))
                WHEN 8 THEN least(date_trunc('month', pg_temp.along(part)) + interval '1 month' - interval '1 microsecond', pg_temp.clock())
                ELSE pg_temp.along(part) END AS started_at,
            distance, speed, (distance / speed * 3600)::integer * interval '1 second' AS ridden,
            (distance / speed * 3600 * (1 + 0.6 * pg_temp.u('ride.rest', i)))::integer * interval '1 second' + interval '1 second' AS elapsed
        FROM (
            SELECT i, pg_temp.part('ride', i, pg_temp.n(30000)) AS part,
                4 + 500 * power(pg_temp.u('ride.distance', i), 3) AS distance, 28 + 60 * pg_temp.u('ride.speed', i) AS speed
            FROM generate_series(1, pg_temp.n(30000)) AS i
        ) AS numbered
    ) AS timed
    JOIN homes AS home USING (user_id)
) AS ride
ORDER BY i;
ANALYZE rides;

-- The last hour: riders under way, a position every few seconds.
INSERT INTO live_locations (id, user_id, ride_id, event_id, lat, lon, heading_deg, speed_kmh, battery_pct, recorded_at, created_at)
SELECT i, home.user_id, ride.id, CASE WHEN i % 7 = 0 THEN (SELECT max(id) FROM events WHERE status = 'ongoing') END, home.lat + 0.2 * (pg_temp.u('live.lat', i) - 0.5), home.lon + 0.2 * (pg_temp.u('live.lon', i) - 0.5),
    CASE WHEN pg_temp.u('live.moves', i) < 0.9 THEN 359.9 * pg_temp.u('live.heading', i) END, 110 * pg_temp.u('live.speed', i),
    CASE WHEN i % 6 <> 0 THEN pg_temp.between('live.battery', i, 3, 100) END, at, least(at + pg_temp.u('live.lag', i) * interval '8 seconds', pg_temp.clock())
FROM generate_series(1, pg_temp.n(4000)) AS i
JOIN homes AS home ON home.user_id = 1 + i % (pg_temp.n(2500) / 10)
LEFT JOIN (SELECT user_id, max(id) AS id FROM rides WHERE ended_at IS NULL GROUP BY user_id) AS ride ON ride.user_id = home.user_id
CROSS JOIN LATERAL (SELECT pg_temp.clock() - (pg_temp.n(4000) - i) * interval '59 minutes' / pg_temp.n(4000) AS at) AS moment;

INSERT INTO emergency_alerts (id, user_id, ride_id, kind, status, message, lat, lon, impact_g, contacts_notified, raised_at, acknowledged_at, resolved_at, response_time, created_at, updated_at)
SELECT i, ride.user_id, ride.id, kind::alert_kind, status::alert_status,
    CASE WHEN pg_temp.u('alarm.says', i) < 0.4 THEN pg_temp.pick('alarm.words', i, ARRAY['Sturz, Bein schmerzt', 'chain broke, safe place', 'pneu furado', 'मदद चाहिए']) END,
    CASE WHEN pg_temp.u('alarm.fix', i) < 0.93 THEN ride.start_lat END, CASE WHEN pg_temp.u('alarm.fix', i) < 0.93 THEN ride.start_lon END,
    CASE WHEN kind = 'crash_detected' THEN 4 + 20 * pg_temp.u('alarm.impact', i) END,
    CASE WHEN status = 'false_alarm' THEN '[]' ELSE jsonb_build_array(jsonb_build_object('name', pg_temp.person_name('contact', ride.user_id, 'DE'), 'phone', '+49' || (1500000000 + ride.user_id * 6151))) END,
    at, CASE WHEN status <> 'open' THEN taken END, CASE WHEN status IN ('resolved', 'false_alarm') THEN done END,
    CASE WHEN status <> 'open' THEN taken - at END, least(at + interval '2 seconds', pg_temp.clock()), CASE status WHEN 'open' THEN least(at + interval '2 seconds', pg_temp.clock()) WHEN 'acknowledged' THEN greatest(taken, least(at + interval '2 seconds', pg_temp.clock())) ELSE greatest(done, least(at + interval '2 seconds', pg_temp.clock())) END
FROM (
    SELECT i, 1 + floor(pg_temp.u('alarm.ride', i) * pg_temp.n(30000))::bigint AS ride_id,
        pg_temp.pick('alarm.kind', i, ARRAY['crash_detected', 'crash_detected', 'sos', 'breakdown', 'breakdown', 'medical']) AS kind,
        pg_temp.pick('alarm.status', i, ARRAY['resolved', 'resolved', 'resolved', 'resolved', 'false_alarm', 'false_alarm', 'acknowledged', 'open']) AS status
    FROM generate_series(1, pg_temp.n(400)) AS i
) AS alarm
JOIN rides AS ride ON ride.id = alarm.ride_id
CROSS JOIN LATERAL (SELECT ride.started_at + pg_temp.u('alarm.at', i) * (coalesce(ride.ended_at, pg_temp.clock()) - ride.started_at) AS at) AS moment
CROSS JOIN LATERAL (SELECT least(at + pg_temp.u('alarm.taken', i) * interval '20 minutes', pg_temp.clock()) AS taken) AS first
CROSS JOIN LATERAL (SELECT least(taken + pg_temp.u('alarm.done', i) * interval '5 hours', pg_temp.clock()) AS done) AS last;

INSERT INTO notifications (id, user_id, actor_id, kind, payload, read, read_at, created_at, updated_at)
SELECT i, user_id, CASE WHEN kind NOT IN ('service_due', 'membership') THEN actor_id END, kind,
    jsonb_build_object('text', pg_temp.pick('note.text', i, ARRAY['liked your ride', 'folgt dir jetzt', 'comentou', 'service due in 7 days 🔧'])),
    seen <= pg_temp.clock(), CASE WHEN seen <= pg_temp.clock() THEN seen END, at, CASE WHEN seen <= pg_temp.clock() THEN seen ELSE at END
FROM (
    SELECT i, at, user_id, 1 + (user_id - 1 + pg_temp.between('note.actor', i, 1, known - 1)) % known AS actor_id,
        pg_temp.pick('note.kind', i, ARRAY['ride_liked', 'ride_liked', 'new_follower', 'group_message', 'event_reminder', 'service_due', 'membership']) AS kind,
        at + CASE WHEN pg_temp.u('note.ignored', i) < 0.15 THEN interval '10 years' ELSE power(pg_temp.u('note.seen', i), 4) * interval '20 days' END AS seen
    FROM (
        SELECT i, pg_temp.along(part) AS at, pg_temp.known(part, pg_temp.n(2500)) AS known,
            pg_temp.skewed('note.user', i, pg_temp.known(part, pg_temp.n(2500))) AS user_id
        FROM (SELECT i, pg_temp.part('note', i, pg_temp.n(30000)) AS part FROM generate_series(1, pg_temp.n(30000)) AS i) AS numbered
    ) AS timed
) AS note;
