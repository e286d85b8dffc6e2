-- logistics: riders, orders and ratings; what hangs on them is in data_after_real.sql. Parameters and pg_temp functions
-- come from the runner (demo/generate.py, demo/helpers.sql). With demo.real on, real.sql writes these three tables.

CALL pg_temp.make_months('location_logs', '{table}_y{year}m{month}');

-- The code is what a rider's number in the partner's roster begins with.
CREATE TEMPORARY TABLE cities (id integer, code text, name text, lat double precision, lon double precision) ON COMMIT DROP;
INSERT INTO cities VALUES
    (1, 'MUM', 'Mumbai', 19.076, 72.878), (2, 'BANG', 'Bengaluru', 12.972, 77.595), (3, 'CHEN', 'Chennai', 13.083, 80.271),
    (4, 'HYD', 'Hyderabad', 17.385, 78.487), (5, 'PUNE', 'Pune', 18.520, 73.857), (6, 'KOL', 'Kolkata', 22.573, 88.364),
    (7, 'JAP', 'Jaipur', 26.912, 75.787), (8, 'COIMB', 'Coimbatore', 11.017, 76.956), (9, 'INDO', 'Indore', 22.720, 75.858),
    (10, 'SUR', 'Surat', 21.170, 72.831), (11, 'MYS', 'Mysuru', 12.296, 76.639), (12, 'VAD', 'Vadodara', 22.307, 73.181),
    (13, 'RANCHI', 'Ranchi', 23.344, 85.310), (14, 'AURG', 'Aurangabad', 19.876, 75.343), (15, 'KNP', 'Kanpur', 26.450, 80.332),
    (16, 'DEH', 'Dehradun', 30.317, 78.032), (17, 'KOC', 'Kochi', 9.931, 76.267), (18, 'ALH', 'Prayagraj', 25.436, 81.846),
    (19, 'LUDH', 'Ludhiana', 30.901, 75.857), (20, 'BHP', 'Bhopal', 23.260, 77.413), (21, 'AGR', 'Agra', 27.177, 78.008),
    (22, 'GOA', 'Goa', 15.491, 73.828);

-- Who is to become a rider: generated here, or real. What the roster does not tell is generated for both.
CREATE TEMPORARY TABLE roster (
    id bigint, external_id text, city text, age smallint, vehicle_type vehicle_type, applied boolean
) ON COMMIT DROP;

CREATE PROCEDURE pg_temp.enlist_riders() LANGUAGE sql AS $$
    INSERT INTO riders (id, external_id, mobile, name, email, city, age, languages, status, kyc_status, vehicle_type,
        vehicle_number, upi_id, device_id, last_ip, preferences, joined_on, last_active_at, created_at, updated_at)
    SELECT id, external_id,
        '+91' || 6000000000 + id * 7919993 % 4000000000,  -- 7919993 shares no factor with 4e9: all numbers differ
        pg_temp.person_name('riders', id, 'IN'),
        CASE WHEN pg_temp.u('riders.mail', id) < 0.4
            THEN 'rider' || id || '@' || pg_temp.pick('riders.host', id, ARRAY['example.in','example.com','mail.example.org']) END,
        city, age,
        CASE WHEN id % 3 = 0 THEN ARRAY['hi','en'] WHEN id % 3 = 1
            THEN ARRAY[pg_temp.pick('riders.language', id, ARRAY['ta','kn','te','mr','gu','bn','pa','ml'])]
            ELSE ARRAY['hi', pg_temp.pick('riders.language', id, ARRAY['ta','kn','te','mr','gu','bn','pa','ml']), 'en'] END,
        status,
        (CASE WHEN status IN ('active', 'inactive', 'suspended') THEN 'verified'
            ELSE pg_temp.pick('riders.kyc', id, ARRAY['pending','submitted','rejected']) END)::kyc_status,
        vehicle_type,
        CASE WHEN vehicle_type <> 'bicycle' THEN pg_temp.pick('riders.plate', id, ARRAY['MH','KA','TN','TS','WB','RJ','GJ'])
            || to_char(pg_temp.between('riders.rto', id, 1, 60), 'FM00') || 'AB'
            || to_char(pg_temp.between('riders.number', id, 0, 9999), 'FM0000') END,
        'rider' || id || '@upi',
        pg_temp.uuid('riders.device', id),
        CASE WHEN pg_temp.u('riders.ip', id) < 0.9 THEN pg_temp.address(id) END,
        jsonb_build_object('shift', pg_temp.pick('riders.shift', id, ARRAY['morning','lunch','evening','night']),
            'push', pg_temp.u('riders.push', id) < 0.8),
        (joined AT TIME ZONE 'Asia/Kolkata')::date,
        CASE WHEN status <> 'applied' THEN changed END,
        joined, changed
    FROM roster
    -- Everybody joined at least three months ago, so that every order can find its rider.
    CROSS JOIN LATERAL (SELECT
        pg_temp.clock() - (0.1 + 0.9 * pg_temp.u('riders.joined', id)) * interval '21800 hours' AS joined,
        (CASE WHEN applied THEN 'applied' WHEN pg_temp.u('riders.status', id) < 0.88 THEN 'active'
            WHEN pg_temp.u('riders.status', id) < 0.95 THEN 'inactive' WHEN pg_temp.u('riders.status', id) < 0.98 THEN 'suspended'
            ELSE 'offboarded' END)::rider_status AS status) AS of_rider
    CROSS JOIN LATERAL (SELECT pg_temp.later('riders.updated', id, joined, 0.9) AS changed) AS of_change
$$;

INSERT INTO roster
SELECT i,
    cities.code || 'RES' || lpad(((i + 2) / 3)::text, greatest(2, length(((i + 2) / 3)::text)), '0') || 'DEL0' || (i - 1) % 3 + 1,
    cities.name,
    CASE WHEN pg_temp.u('riders.told', i) < 0.95 THEN 18 + floor(34 * power(pg_temp.u('riders.age', i), 1.3)) END,
    pg_temp.pick('riders.vehicle', i, ARRAY['motorcycle','motorcycle','motorcycle','scooter','electric_scooter','bicycle'])::vehicle_type,
    i % 40 = 13
FROM generate_series(1, pg_temp.n(2000)) AS i
JOIN cities ON cities.id = pg_temp.skewed('riders.city', i, 22)
WHERE current_setting('demo.real') = 'off';

CALL pg_temp.enlist_riders();

-- One order in 500 is on its way right now. A trip takes eight minutes and the way at 20 km/h.
INSERT INTO orders (id, rider_id, status, external_ref, order_type, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon,
    distance_m, delivery_fee, rider_age, cancel_reason, metadata, created_at, picked_at, delivered_at, cancelled_at, updated_at)
SELECT i,
    CASE WHEN status <> 'created' THEN riders.id END,
    status,
    'ORD-' || lpad(i::text, greatest(9, length(i::text)), '0'),
    pg_temp.pick('orders.type', i, ARRAY['Snack','Meal','Drinks','Buffet']),
    from_lat, from_lon,
    from_lat + distance / 157000.0,
    from_lon + distance / 157000.0,
    distance,
    round((20 + distance * 0.006 + 15 * pg_temp.u('orders.surge', i))::numeric, 2),
    CASE WHEN status <> 'created' THEN riders.age END,
    CASE WHEN status = 'cancelled'
        THEN pg_temp.pick('orders.reason', i, ARRAY['customer','restaurant closed','no rider','address not found','वर्षा / rain']) END,
    jsonb_build_object('weather', pg_temp.pick('orders.weather', i, ARRAY['Sunny','Cloudy','Windy','Fog','Stormy','Sandstorms']),
        'traffic', pg_temp.pick('orders.traffic', i, ARRAY['Low','Medium','High','Jam']),
        'festival', pg_temp.u('orders.festival', i) < 0.02),
    placed,
    CASE WHEN status IN ('picked_up', 'delivered', 'returned') THEN picked END,
    CASE WHEN status = 'delivered' THEN handed_over END,
    CASE WHEN status = 'cancelled' THEN placed + interval '6 minutes' END,
    least(pg_temp.clock(), CASE status WHEN 'created' THEN placed WHEN 'assigned' THEN placed + interval '2 minutes'
        WHEN 'picked_up' THEN picked WHEN 'cancelled' THEN placed + interval '6 minutes'
        ELSE pg_temp.later('orders.updated', i, handed_over, 0.03) END)
FROM generate_series(1, pg_temp.n(25000)) AS i
JOIN (SELECT id, city, age, created_at FROM riders WHERE status <> 'applied') AS riders
    ON riders.id = pg_temp.skewed('orders.rider', i, pg_temp.n(2000))
JOIN cities ON cities.name = riders.city
CROSS JOIN LATERAL (SELECT
    pg_temp.between('orders.way', i, 900, 14000)::integer AS distance,
    round((cities.lat + (pg_temp.u('orders.lat', i) - 0.5) * 0.15)::numeric, 6)::double precision AS from_lat,
    round((cities.lon + (pg_temp.u('orders.lon', i) - 0.5) * 0.15)::numeric, 6)::double precision AS from_lon,
    CASE WHEN i % 500 = 7 THEN pg_temp.clock() - pg_temp.u('orders.minutes', i) * interval '40 minutes'
        ELSE least(pg_temp.edge(i, pg_temp.since('orders.placed', i, riders.created_at)), pg_temp.clock() - interval '2 hours')
    END AS placed) AS of_order
CROSS JOIN LATERAL (SELECT placed + (5 + 15 * pg_temp.u('orders.kitchen', i)) * interval '1 minute' AS picked) AS of_pickup
CROSS JOIN LATERAL (SELECT picked + (8 + distance / 333.0) * interval '1 minute' AS handed_over,
    (CASE WHEN i % 500 = 7 AND placed > pg_temp.clock() - interval '4 minutes' THEN 'created'
        WHEN i % 500 = 7 AND picked > pg_temp.clock() THEN 'assigned'
        WHEN i % 500 = 7 AND picked + (8 + distance / 333.0) * interval '1 minute' > pg_temp.clock() THEN 'picked_up'
        WHEN pg_temp.u('orders.status', i) < 0.05 THEN 'cancelled'
        WHEN pg_temp.u('orders.status', i) < 0.06 THEN 'returned' ELSE 'delivered' END)::order_status AS status) AS of_end
WHERE current_setting('demo.real') = 'off';

INSERT INTO ratings (id, order_id, rider_id, rating, comment, created_at, updated_at)
SELECT row_number() OVER (ORDER BY id), id, rider_id,
    5 - round((4 * power(pg_temp.u('ratings.stars', id), 4))::numeric * 2) / 2,
    CASE WHEN pg_temp.u('ratings.wrote', id) < 0.15
        THEN pg_temp.pick('ratings.comment', id, ARRAY['समय पर 👍','Food was cold','மிக்க நன்றி','polite rider','took the long way 😡']) END,
    rated, pg_temp.later('ratings.updated', id, rated, 0.02)
FROM orders
CROSS JOIN LATERAL (SELECT
    delivered_at + pg_temp.u('ratings.delay', id) * (least(pg_temp.clock(), delivered_at + interval '2 days') - delivered_at) AS rated)
WHERE status = 'delivered' AND pg_temp.u('ratings.given', id) < 0.55 AND current_setting('demo.real') = 'off';

-- The tables above are looked up by the statements that follow; without statistics those joins go wrong.
ANALYZE riders, orders;
