-- Thirty months of bikenode, ending today. Functions of demo/helpers.sql give every value, so that a seed, a scale
-- and a day always make the same rows.
--
-- Ids follow time: row i of n stands at part(salt, i, n) of the history, and whoever acts in it is one of the
-- users known by then. Low ids joined first and do the most. With real rides (demo.real = on) the tables rides
-- and gps_points are left to real.py.

CALL pg_temp.make_months('rides', '{table}_y{year}m{month}');
CALL pg_temp.make_months('gps_points', '{table}_y{year}m{month}');
CALL pg_temp.make_months('sensor_readings', '{table}_y{year}m{month}');
CALL pg_temp.make_months('weather_observations', '{table}_y{year}m{month}');

-- Log lines are kept 90 days: months older than that are gone.
DO $$
DECLARE
    month date;
BEGIN
    FOR step IN -4 .. 3 LOOP
        month := date_trunc('month', current_setting('demo.today')::date) + make_interval(months => step);
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF access_logs FOR VALUES FROM (%L) TO (%L)',
            'access_logs_y' || to_char(month, 'YYYY"m"MM'),
            month || ' 00:00:00+00', (month + interval '1 month')::date || ' 00:00:00+00');
    END LOOP;
END $$;

-- Where riders live: country, city and its centre.
CREATE TEMP TABLE cities ON COMMIT DROP AS
SELECT * FROM (VALUES
    (1, 'US', 'Portland', 45.5152, -122.6784), (2, 'US', 'Boulder', 40.0150, -105.2705),
    (3, 'US', 'Brooklyn', 40.6782, -73.9442), (4, 'US', 'Minneapolis', 44.9778, -93.2650),
    (5, 'US', 'Austin', 30.2672, -97.7431), (6, 'BR', 'São Paulo', -23.5505, -46.6333),
    (7, 'BR', 'Florianópolis', -27.5949, -48.5482), (8, 'BR', 'Belém', -1.4558, -48.4902),
    (9, 'DE', 'Freiburg', 47.9990, 7.8421), (10, 'DE', 'Münster', 51.9607, 7.6261),
    (11, 'DE', 'Köln', 50.9375, 6.9603), (12, 'DE', 'Görlitz', 51.1526, 14.9872),
    (13, 'IN', 'Bengaluru', 12.9716, 77.5946), (14, 'IN', 'Pune', 18.5204, 73.8567),
    (15, 'IN', 'मुंबई', 19.0760, 72.8777), (16, 'CN', '北京', 39.9042, 116.4074),
    (17, 'CN', '成都', 30.5728, 104.0668), (18, 'JP', '東京', 35.6762, 139.6503)
) AS city (id, country, name, lat, lon);

CREATE TEMP TABLE homes ON COMMIT DROP AS
SELECT i AS user_id, city.country, city.name AS city, city.lat, city.lon,
    CASE WHEN city.country IN ('US', 'BR') THEN 'us_east' WHEN city.country = 'DE' THEN 'eu_west' ELSE 'apac' END AS region,
    CASE city.country WHEN 'US' THEN 'USD' WHEN 'BR' THEN 'BRL' WHEN 'DE' THEN 'EUR' WHEN 'IN' THEN 'INR'
        WHEN 'CN' THEN 'CNY' ELSE 'JPY' END AS currency
FROM generate_series(1, pg_temp.n(2000)) AS i
JOIN cities AS city ON city.id = pg_temp.between('user.city', i, 1, 18);
ANALYZE homes;

-- Six users in seven have entered a bike; the first of user i has id i.
CREATE FUNCTION pg_temp.has_bike(user_id bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT user_id <= 3 OR pg_temp.u('user.has_bike', user_id) >= 0.14 $$;

-- ---------------------------------------------------------------------------------------------- users and bikes

INSERT INTO users (id, public_id, email, username, display_name, password_hash, birth_date, weight_kg, ftp_watts,
    region, home_city, locale, subscription_tier, subscription_until, preferences, email_verified_at, last_login_at,
    last_login_ip, is_active, created_at, updated_at)
SELECT i, pg_temp.uuid('user', i),
    CASE WHEN i % 11 = 0 THEN initcap(handle) ELSE handle END || '@'
        || pg_temp.pick('user.domain', i, ARRAY['example.com', 'example.org', 'mail.example.net', 'rad.example.de']),
    handle, pg_temp.person_name('user', i, country),
    '$argon2id$v=19$m=65536,t=3,p=4$' || left(md5('salt' || i), 22) || '$' || md5('a' || i) || left(md5('b' || i), 11),
    CASE WHEN pg_temp.u('user.birth', i) < 0.8 THEN date '1950-01-01' + pg_temp.between('user.born', i, 0, 20000)::integer END,
    CASE WHEN pg_temp.u('user.weighs', i) < 0.6 THEN (48 + 60 * pg_temp.u('user.weight', i))::numeric(4,1) END,
    CASE WHEN pg_temp.u('user.trains', i) < 0.3 THEN pg_temp.between('user.ftp', i, 120, 380) END,
    region::region,
    CASE WHEN pg_temp.u('user.home', i) < 0.9 THEN city END,
    CASE country WHEN 'US' THEN 'en-US' WHEN 'BR' THEN 'pt-BR' WHEN 'DE' THEN 'de-DE' WHEN 'IN' THEN 'en-IN'
        WHEN 'CN' THEN 'zh-CN' ELSE 'ja-JP' END,
    tier::subscription_tier,
    CASE tier WHEN 'free' THEN NULL WHEN 'team' THEN 'infinity'
        ELSE date_trunc('day', pg_temp.clock()) + pg_temp.between('user.until', i, -200, 365) * interval '1 day' END,
    jsonb_build_object(
        'units', CASE WHEN country = 'US' THEN 'imperial' ELSE 'metric' END,
        'notifications', jsonb_build_object('kudos', i % 3 > 0, 'messages', true),
        'privacy_zone_m', pg_temp.between('user.zone', i, 0, 4) * 200),
    CASE WHEN pg_temp.u('user.verified', i) < 0.93 THEN least(joined + pg_temp.u('user.verify', i) * interval '2 days', pg_temp.clock()) END,
    CASE WHEN pg_temp.u('user.seen', i) < 0.95 THEN joined + power(pg_temp.u('user.login', i), 0.3) * (pg_temp.clock() - joined) END,
    CASE WHEN pg_temp.u('user.seen', i) < 0.95 THEN pg_temp.address(i) END,
    pg_temp.u('user.left', i) < 0.96,
    joined, joined + CASE WHEN pg_temp.u('user.changed', i) < 0.7 THEN pg_temp.u('user.change', i) * (pg_temp.clock() - joined) ELSE interval '0' END
FROM (
    SELECT user_id AS i, country, city, region,
        pg_temp.pick('user.word', user_id, ARRAY['gravel', 'pedal', 'chain', 'summit', 'velo', 'bici', 'rad', 'tempo', 'echelon'])
            || '_' || pg_temp.pick('user.noun', user_id, ARRAY['fox', 'goat', 'otter', 'heron', 'lynx', 'crane']) || user_id AS handle,
        pg_temp.pick('user.tier', user_id, ARRAY['free', 'free', 'free', 'free', 'free', 'plus', 'plus', 'pro', 'pro', 'team']) AS tier,
        pg_temp.along(greatest(user_id - 2, 0)::double precision / pg_temp.n(2000)) AS joined
    FROM homes
) AS person;
ANALYZE users;

-- Further bikes go to those who ride most.
INSERT INTO bikes (id, user_id, name, kind, brand, model, model_year, frame_serial, weight_kg, specifications,
    purchased_on, purchase_price, currency, odometer_m, retired_on, created_at, updated_at)
SELECT i, owner.id,
    pg_temp.pick('bike.name', i, ARRAY['Old Faithful', 'Rosinante', 'Blitz', 'Schwarze Perle', 'Trovão', 'चेतक', '小飞侠', 'N+1 🚲', 'Commuter', 'Rain bike']),
    pg_temp.pick('bike.kind', i, ARRAY['road', 'road', 'gravel', 'gravel', 'mountain', 'city', 'ebike', 'track', 'cargo'])::bike_kind,
    pg_temp.pick('bike.brand', i, ARRAY['Aurelia', 'Northfell', 'Kestrel & Sons', 'Pedalwerk', 'Caloi Sul', 'Hiraya', 'Stahlross']),
    pg_temp.pick('bike.model', i, ARRAY['R', 'GX', 'Trail', 'Stadt', 'Endurance', 'Kurier']) || ' ' || pg_temp.between('bike.series', i, 1, 9) * 100,
    pg_temp.between('bike.year', i, 1998, 2025),
    CASE WHEN pg_temp.u('bike.serial', i) < 0.6 THEN 'WTU' || upper(left(md5('serial' || i), 9)) || i END,
    (6.8 + 18 * power(pg_temp.u('bike.weight', i), 2))::numeric(5,2),
    jsonb_build_object('wheel_in', pg_temp.pick('bike.wheel', i, ARRAY['28', '27.5', '29', '26']),
        'gears', pg_temp.between('bike.gears', i, 1, 24), 'tyre_mm', pg_temp.between('bike.tyre', i, 23, 60)),
    CASE WHEN bought THEN (owner.created_at - pg_temp.u('bike.age', i) * interval '5 years')::date END,
    CASE WHEN bought THEN (200 + 7000 * power(pg_temp.u('bike.price', i), 3))::numeric(10,2) END,
    CASE WHEN bought THEN home.currency END,
    pg_temp.between('bike.odometer', i, 0, 40000000),
    CASE WHEN pg_temp.u('bike.retired', i) < 0.08 THEN (pg_temp.clock() - pg_temp.u('bike.end', i) * (pg_temp.clock() - owner.created_at))::date END,
    added, added + CASE WHEN pg_temp.u('bike.edited', i) < 0.5 THEN pg_temp.u('bike.edit', i) * (pg_temp.clock() - added) ELSE interval '0' END
FROM (
    SELECT i, CASE WHEN i <= pg_temp.n(2000) THEN i ELSE pg_temp.skewed('bike.owner', i, pg_temp.n(2000)) END AS user_id,
        pg_temp.u('bike.bought', i) < 0.7 AS bought
    FROM generate_series(1, pg_temp.n(3200)) AS i
    WHERE i > pg_temp.n(2000) OR pg_temp.has_bike(i)
) AS bike
JOIN users AS owner ON owner.id = bike.user_id
JOIN homes AS home ON home.user_id = bike.user_id
CROSS JOIN LATERAL (SELECT owner.created_at + power(pg_temp.u('bike.added', i), 4) * (pg_temp.clock() - owner.created_at) AS added) AS at;
ANALYZE bikes;

INSERT INTO bike_maintenance (id, bike_id, performed_on, task, notes, workshop, parts, cost, currency, odometer_m, labour, created_at, updated_at)
SELECT i, bike.id,
    (at - CASE WHEN pg_temp.u('care.late', i) < 0.1 THEN pg_temp.u('care.lag', i) * interval '60 days' ELSE interval '0' END)::date,
    pg_temp.pick('care.task', i, ARRAY['chain replaced', 'brake pads', 'wheel trued', 'full service', 'tubeless sealant', 'bottom bracket', 'gear cable', 'tyre change']),
    CASE WHEN pg_temp.u('care.noted', i) < 0.3 THEN pg_temp.pick('care.note', i, ARRAY['Klackern im Tretlager weg', 'finally quiet 🎉', 'corrente nova, fita de guidão também', 'rear rotor slightly bent, watch it', '刹车有点响']) END,
    CASE WHEN paid THEN pg_temp.pick('care.workshop', i, ARRAY['Radhaus Süd', 'Hub & Spoke', 'Bicicletaria do Zé', 'Cycle World Indiranagar', '老王修车']) END,
    CASE pg_temp.between('care.parts', i, 0, 3) WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['chain'] WHEN 2 THEN ARRAY['pads', 'rotor 160 mm']
        ELSE ARRAY['tyre, 28"', 'tube', NULL, 'tape "cork"'] END,
    CASE WHEN paid THEN (8 + 300 * power(pg_temp.u('care.cost', i), 2))::numeric(10,2) END,
    CASE WHEN paid THEN coalesce(bike.currency, 'EUR') END,
    CASE WHEN pg_temp.u('care.read', i) < 0.7 THEN (bike.odometer_m * pg_temp.u('care.odometer', i))::bigint END,
    CASE WHEN pg_temp.u('care.timed', i) < 0.6 THEN pg_temp.between('care.labour', i, 1, 24) * interval '10 minutes' END,
    at, at + CASE WHEN pg_temp.u('care.edited', i) < 0.15 THEN pg_temp.u('care.edit', i) * (pg_temp.clock() - at) ELSE interval '0' END
FROM (
    SELECT i, pg_temp.part('care', i, pg_temp.n(10000)) AS part, pg_temp.u('care.paid', i) < 0.5 AS paid
    FROM generate_series(1, pg_temp.n(10000)) AS i
) AS care
JOIN bikes AS bike ON bike.id = pg_temp.skewed('care.bike', i, pg_temp.known(part, pg_temp.n(2000)))
CROSS JOIN LATERAL (SELECT greatest(pg_temp.along(part), bike.created_at) AS at) AS moment;

INSERT INTO bike_modifications (id, bike_id, component, removed_part, installed_part, manufacturer, installed_on, removed_on, price, currency, notes, created_at, updated_at)
SELECT i, bike.id,
    pg_temp.pick('part.kind', i, ARRAY['saddle', 'stem', 'handlebar', 'wheels', 'cassette', 'crankset', 'pedals', 'lights']),
    CASE WHEN pg_temp.u('part.old', i) < 0.7 THEN 'stock' END,
    pg_temp.pick('part.new', i, ARRAY['carbon', 'titanium', 'tubeless-ready', 'wide', 'short', 'hub dynamo']) || ' ' || pg_temp.between('part.size', i, 90, 180),
    pg_temp.pick('part.maker', i, ARRAY['Brückner', 'Okabe', 'Ferro', NULL, 'Silverline']),
    at::date,
    CASE WHEN pg_temp.u('part.off', i) < 0.2 THEN (at + pg_temp.u('part.gone', i) * (pg_temp.clock() - at))::date END,
    CASE WHEN priced THEN (10 + 900 * power(pg_temp.u('part.price', i), 3))::numeric(10,2) END,
    CASE WHEN priced THEN coalesce(bike.currency, 'USD') END,
    CASE WHEN pg_temp.u('part.noted', i) < 0.2 THEN pg_temp.pick('part.note', i, ARRAY['100 g saved 😅', 'passt nicht perfekt', 'muito melhor']) END,
    at, at + CASE WHEN pg_temp.u('part.edited', i) < 0.2 THEN pg_temp.u('part.edit', i) * (pg_temp.clock() - at) ELSE interval '0' END
FROM (
    SELECT i, pg_temp.part('part', i, pg_temp.n(4000)) AS part, pg_temp.u('part.priced', i) < 0.8 AS priced
    FROM generate_series(1, pg_temp.n(4000)) AS i
) AS modification
JOIN bikes AS bike ON bike.id = pg_temp.skewed('part.bike', i, pg_temp.known(part, pg_temp.n(2000)))
CROSS JOIN LATERAL (SELECT greatest(pg_temp.along(part), bike.created_at) AS at) AS moment;

-- ---------------------------------------------------------------------------------------------- rides

-- A ride that has not ended by now is being recorded. Rides 7 and 8 of every 200 start on the first and in the
-- last microsecond of their month. One in ten is uploaded days late.
INSERT INTO rides (id, user_id, bike_id, title, notes, status, visibility, region, started_at, ended_at, start_lat,
    start_lon, end_lat, end_lon, distance_m, elapsed_s, moving_s, elevation_gain_m, elevation_loss_m, avg_speed_mps,
    max_speed_mps, avg_power_w, max_power_w, device, weather, created_at, updated_at)
SELECT i, user_id,
    CASE WHEN pg_temp.has_bike(user_id) AND pg_temp.u('ride.bike', i) < 0.85 THEN user_id END,
    CASE WHEN pg_temp.u('ride.titled', i) < 0.75 THEN pg_temp.pick('ride.title', i, ARRAY['Morning ride', 'Feierabendrunde', 'Pedal de domingo', 'Commute', 'Intervals 5×5', 'Coffee ☕ ride', 'नंदी हिल्स', '环法梦', '朝練']) END,
    CASE WHEN pg_temp.u('ride.noted', i) < 0.1 THEN pg_temp.pick('ride.note', i, ARRAY['Legs were empty.', 'Gegenwind auf ganzer Strecke; "never again"', 'Flat tyre at km 12', 'com a turma toda 🚴‍♀️🚴']) END,
    CASE WHEN NOT ended THEN 'recording' WHEN pg_temp.u('ride.status', i) < 0.97 THEN 'completed'
        WHEN pg_temp.u('ride.status', i) < 0.985 THEN 'flagged' ELSE 'discarded' END::ride_status,
    pg_temp.pick('ride.visibility', i, ARRAY['public', 'public', 'followers', 'followers', 'followers', 'private'])::visibility,
    region::region, started_at, CASE WHEN ended THEN started_at + elapsed END,
    lat0, lon0,
    CASE WHEN ended THEN lat0 + distance * 2e-6 * cos(bearing) END,
    CASE WHEN ended THEN lon0 + distance * 2e-6 * sin(bearing) END,
    CASE WHEN ended THEN distance END,
    CASE WHEN ended THEN extract(epoch FROM elapsed)::integer END,
    CASE WHEN ended THEN (distance / speed)::integer END,
    CASE WHEN ended AND climbs THEN distance * 0.015 * pg_temp.u('ride.gain', i) END,
    CASE WHEN ended AND climbs THEN distance * 0.015 * pg_temp.u('ride.loss', i) END,
    CASE WHEN ended THEN speed END,
    CASE WHEN ended THEN speed * (1.3 + 1.2 * pg_temp.u('ride.top', i)) END,
    CASE WHEN ended AND powered THEN pg_temp.between('ride.power', i, 90, 290) END,
    CASE WHEN ended AND powered THEN pg_temp.between('ride.peak', i, 300, 1200) END,
    pg_temp.pick('ride.device', i, ARRAY['Wegweiser 530', 'Wegweiser 840', 'phone', 'phone', 'Mapa One', NULL]),
    CASE WHEN ended AND pg_temp.u('ride.weathered', i) < 0.4
        THEN jsonb_build_object('temperature_c', pg_temp.between('ride.temperature', i, -5, 36), 'wind_mps', pg_temp.between('ride.wind', i, 0, 14)) END,
    created_at,
    created_at + CASE WHEN pg_temp.u('ride.edited', i) < 0.12 THEN pg_temp.u('ride.edit', i) * least(pg_temp.clock() - created_at, interval '40 days') ELSE interval '0' END
FROM (
    SELECT i, user_id, started_at, distance, speed, elapsed, home.region,
        home.lat + 0.1 * (pg_temp.u('ride.lat', i) - 0.5) AS lat0, home.lon + 0.1 * (pg_temp.u('ride.lon', i) - 0.5) AS lon0,
        6.2831853 * pg_temp.u('ride.bearing', i) AS bearing, pg_temp.u('ride.climbs', i) < 0.85 AS climbs,
        pg_temp.u('ride.powered', i) < 0.3 AS powered, started_at + elapsed <= pg_temp.clock() AS ended,
        CASE WHEN started_at + elapsed > pg_temp.clock() THEN started_at
            WHEN pg_temp.u('ride.late', i) < 0.1 THEN least(started_at + elapsed + pg_temp.u('ride.lag', i) * interval '20 days', pg_temp.clock())
            ELSE least(started_at + elapsed + pg_temp.u('ride.upload', i) * interval '10 minutes', pg_temp.clock()) END AS created_at
    FROM (
        SELECT i, pg_temp.skewed('ride.user', i, pg_temp.known(part, pg_temp.n(2000))) AS user_id,
            CASE i % 200 WHEN 7 THEN date_trunc('month', least(pg_temp.along(part) + interval '1 month', pg_temp.clock()))
                WHEN 8 THEN least(date_trunc('month', pg_temp.along(part)) + interval '1 month' - interval '1 microsecond', pg_temp.clock())
                ELSE pg_temp.along(part) END AS started_at,
            distance, speed, (distance / speed * (1 + 0.4 * pg_temp.u('ride.rest', i)) + 2)::integer * interval '1 second' AS elapsed
        FROM (
            SELECT i, pg_temp.part('ride', i, pg_temp.n(8000)) AS part,
                3000 + 120000 * power(pg_temp.u('ride.distance', i), 2.5) AS distance, 3.5 + 6 * pg_temp.u('ride.speed', i) AS speed
            FROM generate_series(1, pg_temp.n(8000)) AS i
            WHERE current_setting('demo.real') = 'off'
        ) AS numbered
    ) AS timed
    JOIN homes AS home USING (user_id)
) AS ride;
ANALYZE rides;

-- One ride in seven was recorded with its track: sixty samples along an arc from start to end.
INSERT INTO gps_points (ride_id, seq, recorded_at, user_id, lat, lon, elevation_m, speed_mps, accuracy_m, received_at)
SELECT ride.id, seq, ride.started_at + (seq - 1) / 59.0 * (ride.ended_at - ride.started_at), ride.user_id,
    ride.start_lat + (ride.end_lat - ride.start_lat) * (seq - 1) / 59.0 + 0.02 * sin(pi() * (seq - 1) / 59.0),
    ride.start_lon + (ride.end_lon - ride.start_lon) * (seq - 1) / 59.0 + 0.001 * sin(seq + ride.id),
    CASE WHEN ride.elevation_gain_m IS NOT NULL THEN 80 + ride.elevation_gain_m * sin(pi() * (seq - 1) / 59.0) END,
    CASE WHEN seq % 20 <> 0 THEN ride.avg_speed_mps * (0.6 + 0.8 * pg_temp.u('gps.speed', ride.id * 60 + seq)) END,
    CASE WHEN seq % 15 <> 0 THEN 2 + 30 * power(pg_temp.u('gps.accuracy', ride.id * 60 + seq), 4) END,
    ride.created_at
FROM rides AS ride CROSS JOIN generate_series(1, 60) AS seq
WHERE current_setting('demo.real') = 'off' AND ride.ended_at IS NOT NULL AND (ride.id = 1 OR pg_temp.u('ride.tracked', ride.id) < 0.15)
ORDER BY ride.id, seq;

-- Forty stations report in turn; one observation in twenty arrives days late.
INSERT INTO weather_observations (id, station, observed_at, lat, lon, temperature_c, humidity_pct, wind_speed_mps,
    wind_direction_deg, precipitation_mm, condition, provider, received_at)
SELECT i, city.country || '-' || lpad(station::text, 3, '0'), at, city.lat + station * 0.003, city.lon - station * 0.002,
    CASE WHEN pg_temp.u('sky.seen', i) < 0.97 THEN
        (14 + 12 * sin(extract(doy FROM at) / 58.0 - 1.4) * sign(city.lat) + 8 * (pg_temp.u('sky.warm', i) - 0.5))::numeric(4,1) END,
    pg_temp.between('sky.humid', i, 15, 100), 14 * power(pg_temp.u('sky.wind', i), 2), pg_temp.between('sky.from', i, 0, 359),
    CASE WHEN pg_temp.u('sky.wet', i) < 0.25 THEN (20 * power(pg_temp.u('sky.rain', i), 3))::numeric(5,2) ELSE 0 END,
    pg_temp.pick('sky.condition', i, ARRAY['clear', 'clear', 'cloudy', 'overcast', 'rain', 'fog', 'snow']),
    pg_temp.pick('sky.provider', i, ARRAY['national', 'national', 'airport']),
    least(at + CASE WHEN pg_temp.u('sky.late', i) < 0.05 THEN pg_temp.u('sky.lag', i) * interval '9 days' ELSE interval '4 minutes' END, pg_temp.clock())
FROM (
    SELECT i, 1 + i % 40 AS station, date_trunc('hour', pg_temp.along(pg_temp.part('sky', i, pg_temp.n(10000)))) AS at
    FROM generate_series(1, pg_temp.n(10000)) AS i
) AS observation
JOIN cities AS city ON city.id = 1 + station % 18
ORDER BY i;

-- ---------------------------------------------------------------------------------------------- social

INSERT INTO forum_posts (id, parent_id, author_id, forum, title, body, tags, like_count, is_pinned, edited_at, removed_at, created_at, updated_at)
SELECT i, parent_id, pg_temp.skewed('post.author', i, pg_temp.known(part, pg_temp.n(2000))),
    pg_temp.pick('post.forum', coalesce(parent_id, i), ARRAY['training', 'workshop', 'routes', 'marketplace', 'offtopic']),
    CASE WHEN parent_id IS NULL THEN pg_temp.pick('post.title', i, ARRAY['Which tyre for wet gravel?', 'Neue Strecke im Schwarzwald', 'Pneu sem câmara vale a pena?', 'Best climbs near Pune', '新手求推荐', 'Show us your bike 🚲']) END,
    pg_temp.pick('post.body', i, ARRAY['Running 45 mm at 2.4 bar, no complaints.', 'Schließe mich an — sehr schöne Runde!', 'Concordo, mas cuidado com a chuva ☔', 'Try it at dawn, before the lorries.', '赞 👍', E'Two lines:\n\t"quoted", back\\slash and tab.', 'It depends.']),
    CASE pg_temp.between('post.tags', i, 0, 3) WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['gravel'] WHEN 2 THEN ARRAY['wet', 'tyres'] ELSE ARRAY['höhenmeter', 'weekend', 'q&a'] END,
    floor(40 * power(pg_temp.u('post.likes', i), 6))::integer, parent_id IS NULL AND pg_temp.u('post.pin', i) < 0.01,
    CASE WHEN changed AND NOT removed THEN later END, CASE WHEN changed AND removed THEN later END,
    at, CASE WHEN changed THEN later ELSE at END
FROM (
    SELECT i, part, pg_temp.along(part) AS at,
        CASE WHEN i > 5 AND pg_temp.u('post.reply', i) < 0.7 THEN i - pg_temp.skewed('post.parent', i, least(i - 1, 400)) END AS parent_id,
        pg_temp.u('post.changed', i) < 0.12 AS changed, pg_temp.u('post.removed', i) < 0.2 AS removed,
        pg_temp.along(part) + power(pg_temp.u('post.later', i), 3) * (pg_temp.clock() - pg_temp.along(part)) AS later
    FROM (SELECT i, pg_temp.part('post', i, pg_temp.n(8000)) AS part FROM generate_series(1, pg_temp.n(8000)) AS i) AS numbered
) AS post;

INSERT INTO messages (id, thread_id, sender_id, recipient_id, body, read_at, created_at, updated_at)
SELECT i, pg_temp.uuid('thread', least(sender, recipient) * 1000003 + greatest(sender, recipient)), sender, recipient,
    pg_temp.pick('message.body', i, ARRAY['Still for sale?', 'Ja, noch da 🙂', 'Sunday 7 am at the bridge?', 'Obrigado!', 'कल मिलते हैं', '好的', 'Sent you the route.', 'Can you do 80?']),
    CASE WHEN seen <= pg_temp.clock() THEN seen END, at, CASE WHEN seen <= pg_temp.clock() THEN seen ELSE at END
FROM (
    SELECT i, sender, 1 + (sender - 1 + pg_temp.between('message.to', i, 1, known - 1)) % known AS recipient, at,
        at + 30 * power(pg_temp.u('message.read', i), 5) * interval '1 day' AS seen
    FROM (
        SELECT i, at, known, pg_temp.skewed('message.from', i, known) AS sender
        FROM (
            SELECT i, pg_temp.along(part) AS at, pg_temp.known(part, pg_temp.n(2000)) AS known
            FROM (SELECT i, pg_temp.part('message', i, pg_temp.n(12000)) AS part FROM generate_series(1, pg_temp.n(12000)) AS i) AS numbered
        ) AS timed
    ) AS sent
) AS message;

INSERT INTO connections (follower_id, followee_id, status, created_at, updated_at)
SELECT DISTINCT ON (follower_id, followee_id) follower_id, followee_id,
    pg_temp.pick('follow.status', i, ARRAY['accepted', 'accepted', 'accepted', 'accepted', 'pending', 'blocked'])::connection_status,
    at, at + CASE WHEN pg_temp.u('follow.changed', i) < 0.5 THEN pg_temp.u('follow.change', i) * least(pg_temp.clock() - at, interval '9 days') ELSE interval '0' END
FROM (
    SELECT i, at, followee_id, 1 + (followee_id - 1 + pg_temp.between('follow.by', i, 1, known - 1)) % known AS follower_id
    FROM (
        SELECT i, pg_temp.along(part) AS at, pg_temp.known(part, pg_temp.n(2000)) AS known,
            pg_temp.skewed('follow.whom', i, pg_temp.known(part, pg_temp.n(2000))) AS followee_id
        FROM (SELECT i, pg_temp.part('follow', i, pg_temp.n(10000)) AS part FROM generate_series(1, pg_temp.n(10000)) AS i) AS numbered
    ) AS timed
) AS follow
ORDER BY follower_id, followee_id, i;

-- ---------------------------------------------------------------------------------------------- marketplace

INSERT INTO listings (id, seller_id, bike_id, category, title, description, condition, price, currency, status,
    pickup_city, attributes, tags, expires_at, created_at, updated_at)
SELECT i, seller_id, bike_id,
    CASE WHEN bike_id IS NOT NULL THEN 'bikes' ELSE pg_temp.pick('offer.category', i, ARRAY['wheels', 'components', 'clothing', 'lights', 'tools']) END,
    pg_temp.pick('offer.title', i, ARRAY['Carbon wheelset, 45 mm', 'Sattel, kaum benutzt', 'Capacete tam. M', 'Rain jacket', '轮组 转让', 'Box of odds & ends']),
    CASE WHEN pg_temp.u('offer.described', i) < 0.8 THEN pg_temp.pick('offer.text', i, ARRAY['Ridden one season, no crashes.', 'Privatverkauf, keine Rücknahme.', 'Aceito trocas 🤝', 'Pick up only; "as is".']) END,
    pg_temp.pick('offer.condition', i, ARRAY['new', 'like_new', 'good', 'good', 'fair', 'for_parts'])::item_condition,
    (5 + 4000 * power(pg_temp.u('offer.price', i), 4))::numeric(10,2), home.currency, status::listing_status,
    CASE WHEN pg_temp.u('offer.pickup', i) < 0.7 THEN home.city END,
    jsonb_build_object('colour', pg_temp.pick('offer.colour', i, ARRAY['black', 'rot', 'celeste', 'azul']), 'size', pg_temp.pick('offer.size', i, ARRAY['S', 'M', 'L', '56'])),
    CASE WHEN i % 3 = 0 THEN ARRAY['negotiable'] ELSE '{}' END,
    CASE WHEN status = 'draft' THEN NULL WHEN i % 50 = 3 THEN 'infinity' ELSE at + interval '60 days' END,
    at, at + CASE WHEN status IN ('draft', 'active') THEN interval '0' ELSE pg_temp.u('offer.change', i) * least(pg_temp.clock() - at, interval '60 days') END
FROM (
    SELECT i, bike.id AS bike_id, greatest(pg_temp.along(part), bike.created_at) AS at,
        coalesce(bike.user_id, pg_temp.skewed('offer.seller', i, pg_temp.known(part, pg_temp.n(2000)))) AS seller_id,
        pg_temp.pick('offer.status', i, ARRAY['sold', 'sold', 'sold', 'sold', 'sold', 'reserved', 'active', 'expired', 'draft', 'removed']) AS status
    FROM (SELECT i, pg_temp.part('offer', i, pg_temp.n(4000)) AS part FROM generate_series(1, pg_temp.n(4000)) AS i) AS numbered
    LEFT JOIN bikes AS bike ON pg_temp.u('offer.bike', i) < 0.3
        AND bike.id = pg_temp.skewed('offer.which', i, pg_temp.known(part, pg_temp.n(2000)))
) AS offer
JOIN homes AS home ON home.user_id = seller_id;

INSERT INTO transactions (id, listing_id, buyer_id, seller_id, amount, fee, currency, exchange_rate_usd, status,
    payment_reference, billing_name, billing_address, payout_account, paid_at, refunded_at, created_at, updated_at)
SELECT i, i, buyer_id, seller_id, price, (price * 0.05)::numeric(12,2), sale.currency,
    CASE sale.currency WHEN 'USD' THEN 1 WHEN 'EUR' THEN 1.08345 WHEN 'BRL' THEN 0.19872 WHEN 'INR' THEN 0.01197 WHEN 'CNY' THEN 0.13912 ELSE 0.00667 END
        * (0.95 + pg_temp.between('sale.rate', i, 0, 100) / 1000.0),
    status::transaction_status,
    'pay_' || substr(md5('sale' || i), 1, 18) || i,
    pg_temp.person_name('user', buyer_id, home.country),
    jsonb_build_object('street', pg_temp.pick('sale.street', buyer_id, ARRAY['Hauptstraße', 'Rua das Flores', '12th Main', 'Elm St', '中山路']) || ' ' || 1 + buyer_id % 180,
        'city', home.city, 'postcode', lpad((buyer_id * 37 % 99999)::text, 5, '0'), 'country', home.country),
    CASE WHEN pg_temp.u('sale.payout', i) < 0.85 THEN 'DE' || lpad((seller_id * 7919 % 100)::text, 2, '0') || lpad((seller_id * 104729)::text, 18, '0') END,
    CASE WHEN status IN ('paid', 'refunded', 'disputed') THEN least(at + pg_temp.u('sale.paid', i) * interval '2 days', pg_temp.clock()) END,
    CASE WHEN status = 'refunded' THEN least(at + interval '3 days' + pg_temp.u('sale.back', i) * interval '20 days', pg_temp.clock()) END,
    at, least(at + CASE status WHEN 'pending' THEN interval '0' WHEN 'refunded' THEN interval '23 days' ELSE pg_temp.u('sale.change', i) * interval '5 days' END, pg_temp.clock())
FROM (
    SELECT id AS i, seller_id, price, currency, updated_at AS at,
        pg_temp.pick('sale.status', id, ARRAY['paid', 'paid', 'paid', 'paid', 'paid', 'paid', 'paid', 'refunded', 'disputed', 'failed', 'pending']) AS status,
        1 + (seller_id - 1 + pg_temp.between('sale.buyer', id, 1, known - 1)) % known AS buyer_id
    FROM (
        SELECT *, pg_temp.known(pg_temp.part('offer', id, pg_temp.n(4000)), pg_temp.n(2000)) AS known
        FROM listings WHERE status IN ('sold', 'reserved')
    ) AS sold
) AS sale
JOIN homes AS home ON home.user_id = buyer_id;

-- After a paid sale each of the two may rate the other.
INSERT INTO reviews (id, transaction_id, reviewer_id, reviewee_id, rating, body, created_at, updated_at)
SELECT i, id, CASE side WHEN 0 THEN buyer_id ELSE seller_id END, CASE side WHEN 0 THEN seller_id ELSE buyer_id END,
    5 - floor(5 * power(pg_temp.u('review.stars', i), 3))::integer,
    CASE WHEN pg_temp.u('review.text', i) < 0.6 THEN pg_temp.pick('review.body', i, ARRAY['Fast and friendly.', 'Gerne wieder!', 'Ótimo vendedor ⭐', 'Not as described :(', '很满意']) END,
    at, at + CASE WHEN pg_temp.u('review.edited', i) < 0.1 THEN pg_temp.u('review.edit', i) * (pg_temp.clock() - at) ELSE interval '0' END
FROM (
    SELECT sale.id * 2 + side AS i, sale.*, side, sale.paid_at + pg_temp.u('review.at', sale.id * 2 + side) * least(pg_temp.clock() - sale.paid_at, interval '14 days') AS at
    FROM transactions AS sale CROSS JOIN generate_series(0, 1) AS side
    WHERE sale.paid_at IS NOT NULL
) AS review
WHERE pg_temp.u('review.given', i) < 0.65;

-- ---------------------------------------------------------------------------------------------- logs

INSERT INTO access_logs (id, logged_at, user_id, ip, region, service, method, path, status, duration_ms, bytes_sent, user_agent, request_id)
SELECT i, pg_temp.clock() - (1 - pg_temp.part('log', i, pg_temp.n(15000))) * interval '90 days', line.user_id,
    pg_temp.address(coalesce(line.user_id, i * 7919)), coalesce(home.region, 'us_east')::region,
    pg_temp.pick('log.service', i, ARRAY['users', 'rides', 'rides', 'bikes', 'social', 'marketplace', 'analytics']),
    pg_temp.pick('log.method', i, ARRAY['GET', 'GET', 'GET', 'GET', 'POST', 'PATCH', 'DELETE']),
    '/v2/' || pg_temp.pick('log.service', i, ARRAY['users', 'rides', 'rides', 'bikes', 'social', 'marketplace', 'analytics']) || '/' || pg_temp.pick('log.path', i, ARRAY['list', 'detail', 'search', 'upload']),
    CASE WHEN line.user_id IS NULL AND i % 4 = 0 THEN 401 ELSE pg_temp.pick('log.status', i, ARRAY['200', '200', '200', '200', '200', '200', '201', '204', '304', '404', '500'])::integer END,
    (4 + 3000 * power(pg_temp.u('log.duration', i), 8))::integer,
    CASE WHEN i % 13 <> 0 THEN pg_temp.between('log.bytes', i, 120, 90000) END,
    pg_temp.pick('log.agent', i, ARRAY['bikenode-ios/7.2', 'bikenode-android/7.1', 'Mozilla/5.0 (X11; Linux x86_64)', NULL]),
    pg_temp.uuid('request', i)
FROM (
    SELECT i, CASE WHEN pg_temp.u('log.anonymous', i) >= 0.25 THEN pg_temp.skewed('log.user', i, pg_temp.known(0.85, pg_temp.n(2000))) END AS user_id
    FROM generate_series(1, pg_temp.n(15000)) AS i
) AS line
LEFT JOIN homes AS home ON home.user_id = line.user_id
ORDER BY i;
