-- logistics: one round of use: ten minutes of new orders, late rows, updates and deletes. Parameters and pg_temp functions
-- come from the runner; salts carry the round, so that each round does something else.

-- What was on its way arrives, and is paid.
WITH arrived AS (
    UPDATE orders SET status = 'delivered', picked_at = coalesce(picked_at, created_at + 0.5 * (pg_temp.clock() - created_at)),
        delivered_at = pg_temp.clock(), updated_at = pg_temp.clock()
    WHERE status IN ('assigned', 'picked_up') AND rider_id IS NOT NULL
    RETURNING id, rider_id, delivery_fee, dropoff_lat, dropoff_lon
), told AS (
    INSERT INTO order_events (order_id, kind, at, lat, lon, payload, created_at)
    SELECT id, 'delivered', pg_temp.clock(), dropoff_lat, dropoff_lon, '{"proof": "otp"}', pg_temp.clock() FROM arrived ORDER BY id
)
INSERT INTO wallet_ledger (rider_id, entry_type, amount, order_id, reference, metadata, created_at)
SELECT rider_id, 'earning', delivery_fee, id, 'EAR-' || id, '{"base": 20}', pg_temp.clock() FROM arrived ORDER BY id;

-- New riders and orders; an order goes where an earlier one went.
INSERT INTO riders (external_id, mobile, name, city, status, joined_on, created_at, updated_at)
SELECT 'MUMRES' || 1000 + pg_temp.round() || 'DEL0' || i, '+91' || 5000000000 + pg_temp.round() * 10 + i,
    pg_temp.person_name('riders.round' || pg_temp.round(), i, 'IN'), 'Mumbai', 'applied', pg_temp.clock()::date,
    pg_temp.clock(), pg_temp.clock()
FROM generate_series(1, 2) AS i;

WITH placed AS (
    INSERT INTO orders (rider_id, status, external_ref, order_type, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, distance_m,
        delivery_fee, rider_age, metadata, created_at, updated_at)
    SELECT former.rider_id, 'assigned', 'ORD-' || pg_temp.round() || '-' || i, former.order_type, former.pickup_lat, former.pickup_lon,
        former.dropoff_lat, former.dropoff_lon, former.distance_m, former.delivery_fee, former.rider_age, '{"weather": "Sunny"}',
        pg_temp.clock() - pg_temp.u('orders.ago' || pg_temp.round(), i) * interval '9 minutes', pg_temp.clock()
    FROM generate_series(1, pg_temp.n(100)) AS i
    JOIN orders AS former ON former.id = pg_temp.between('orders.like' || pg_temp.round(), i, 1, (SELECT max(id) FROM orders))
    WHERE former.rider_id IS NOT NULL
    ORDER BY i
    RETURNING id, created_at
)
INSERT INTO order_events (order_id, kind, at, created_at)
SELECT id, kind, created_at, pg_temp.clock() FROM placed
CROSS JOIN unnest(ARRAY['created','assigned']::order_event_kind[]) AS kind ORDER BY id, kind;

-- Samples of now, and some that a phone kept for five to fourteen weeks; events that arrive as late.
INSERT INTO location_logs (rider_id, lat, lon, accuracy, speed, created_at)
SELECT riders.id, 19 + pg_temp.u('location.lat' || pg_temp.round(), i), 72 + pg_temp.u('location.lon' || pg_temp.round(), i), 8, 4,
    pg_temp.clock() - CASE WHEN i % 4 = 0 THEN interval '35 days' + pg_temp.u('location.late' || pg_temp.round(), i) * interval '63 days'
        ELSE pg_temp.u('location.ago' || pg_temp.round(), i) * interval '9 minutes' END
FROM generate_series(1, pg_temp.n(200)) AS i
JOIN riders ON riders.id = pg_temp.skewed('location.round' || pg_temp.round(), i, (SELECT count(*) FROM riders))
ORDER BY i;

INSERT INTO order_events (order_id, kind, at, payload, created_at)
SELECT id, 'arrived', picked_at, '{"offline": true}', pg_temp.clock()
FROM orders WHERE status = 'delivered' AND created_at < pg_temp.clock() - interval '33 days' AND id % 400 = pg_temp.round() % 400
ORDER BY id;

INSERT INTO duty_logs (rider_id, started_at, start_lat, start_lon, created_at)
SELECT id, pg_temp.clock(), 19.07, 72.88, pg_temp.clock() FROM riders
WHERE status = 'active' AND id % 300 = pg_temp.round() % 300 ORDER BY id;

INSERT INTO support_tickets (rider_id, category, subject, body, opened_at, created_at, updated_at)
SELECT id, 'payout', 'Payout missing', 'Since yesterday. ' || mobile, pg_temp.clock(), pg_temp.clock(), pg_temp.clock() FROM riders
WHERE status = 'active' ORDER BY hashint8extended(id, pg_temp.round()) LIMIT pg_temp.n(6);

INSERT INTO withdrawal_requests (rider_id, amount, account_holder, account_number, ifsc, requested_at, created_at, updated_at)
SELECT id, 100 + id % 400, name, '77' || 1000000000 + id, 'SBIN0000001', pg_temp.clock(), pg_temp.clock(), pg_temp.clock() FROM riders
WHERE status = 'active' ORDER BY hashint8extended(id, pg_temp.round()) LIMIT pg_temp.n(8);

-- Second thoughts: a rating, a profile, a ticket, a withdrawal.
UPDATE ratings SET rating = 1, comment = 'changed my mind', updated_at = pg_temp.clock()
WHERE id IN (SELECT id FROM ratings ORDER BY hashint8extended(id, pg_temp.round()) LIMIT pg_temp.n(12));

UPDATE riders SET last_active_at = pg_temp.clock(), preferences = preferences || jsonb_build_object('seen', pg_temp.round()),
    updated_at = pg_temp.clock()
WHERE id % 25 = pg_temp.round() % 25;

UPDATE support_tickets SET status = 'resolved', resolved_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE status IN ('open', 'pending') AND id % 10 = pg_temp.round() % 10;

WITH paid AS (
    UPDATE withdrawal_requests SET status = 'paid', utr = 'UTR-' || pg_temp.round() || '-' || id, processed_at = pg_temp.clock(),
        updated_at = pg_temp.clock()
    WHERE status IN ('requested', 'approved', 'processing') AND id % 10 = pg_temp.round() % 10
    RETURNING id, rider_id, amount, utr
)
INSERT INTO wallet_ledger (rider_id, entry_type, amount, reference, metadata, created_at)
SELECT rider_id, 'withdrawal', -amount, 'WIT-' || id, jsonb_build_object('utr', utr), pg_temp.clock() FROM paid ORDER BY id;

-- A new upload replaces the old one.
WITH gone AS (
    DELETE FROM rider_documents
    WHERE id IN (SELECT id FROM rider_documents ORDER BY hashint8extended(id, pg_temp.round()) LIMIT pg_temp.n(10))
    RETURNING *
)
INSERT INTO rider_documents (rider_id, document_type, bucket, object_key, number_masked, sha256, byte_size, created_at, updated_at)
SELECT rider_id, document_type, bucket, rider_id || '/' || document_type || '/again-' || pg_temp.round() || '.jpg', number_masked,
    sha256(convert_to('again' || id || '.' || pg_temp.round(), 'UTF8')), byte_size, pg_temp.clock(), pg_temp.clock()
FROM gone ORDER BY id;
DELETE FROM rider_documents
WHERE id IN (SELECT id FROM rider_documents ORDER BY hashint8extended(id, -pg_temp.round()) LIMIT pg_temp.n(4));
