-- logistics: rows that hang on riders and orders, be they real or generated.

INSERT INTO rider_documents (id, rider_id, document_type, bucket, object_key, number_masked, sha256, byte_size, status,
    expires_on, verified_at, created_at, updated_at)
SELECT row_number() OVER (ORDER BY riders.id, type), riders.id, type,
    CASE type WHEN 'selfie' THEN 'selfie-images' ELSE type || '-documents' END,
    riders.id || '/' || type || '/' || pg_temp.pick('documents.file', nr, ARRAY['IMG_','scan-','फोटो ','WhatsApp Image '])
        || pg_temp.between('documents.number', nr, 1000, 9999) || CASE WHEN nr % 4 = 0 THEN '.pdf' ELSE '.jpg' END,
    CASE WHEN type NOT IN ('selfie', 'proof')
        THEN 'XXXXXX' || to_char(pg_temp.between('documents.last', nr, 0, 9999), 'FM0000') END,
    sha256(convert_to('document' || nr, 'UTF8')),
    pg_temp.between('documents.size', nr, 40000, 4000000),
    state,
    CASE WHEN type IN ('dl', 'rc') THEN (pg_temp.clock() + (pg_temp.u('documents.expiry', nr) - 0.1) * interval '3650 days')::date END,
    CASE WHEN state = 'verified' THEN least(pg_temp.clock(), uploaded + pg_temp.u('documents.review', nr) * interval '3 days') END,
    uploaded,
    CASE WHEN state = 'uploaded' THEN uploaded
        ELSE least(pg_temp.clock(), uploaded + pg_temp.u('documents.review', nr) * interval '3 days') END
FROM riders
CROSS JOIN unnest(enum_range(NULL::document_type)) WITH ORDINALITY AS types (type, place)
CROSS JOIN LATERAL (SELECT riders.id * 8 + place AS nr) AS numbered
CROSS JOIN LATERAL (SELECT
    least(pg_temp.clock(), riders.created_at + pg_temp.u('documents.upload', nr) * interval '5 days') AS uploaded,
    (CASE WHEN riders.kyc_status = 'verified' THEN 'verified' WHEN riders.kyc_status = 'rejected' AND place = 2 THEN 'rejected'
        ELSE 'uploaded' END)::document_status AS state) AS of_document
WHERE riders.kyc_status <> 'pending' AND (type IN ('pan', 'aadhaar', 'selfie') OR pg_temp.u('documents.has', nr) < 0.6);

-- Three of a hundred events arrive late, when the phone is back online.
INSERT INTO order_events (id, order_id, kind, at, lat, lon, payload, created_at)
SELECT row_number() OVER (ORDER BY orders.id, step), orders.id, kind, at,
    CASE WHEN located THEN CASE WHEN kind IN ('arrived', 'picked_up') THEN pickup_lat ELSE dropoff_lat END END,
    CASE WHEN located THEN CASE WHEN kind IN ('arrived', 'picked_up') THEN pickup_lon ELSE dropoff_lon END END,
    CASE kind WHEN 'cancelled' THEN jsonb_build_object('reason', cancel_reason)
        WHEN 'delivered' THEN jsonb_build_object('proof', pg_temp.pick('events.proof', orders.id, ARRAY['otp','photo','signature'])) END,
    least(pg_temp.clock(), at + pg_temp.u('events.delay', orders.id * 8 + step)
        * CASE WHEN pg_temp.u('events.late', orders.id * 8 + step) < 0.03 THEN interval '36 hours' ELSE interval '5 seconds' END)
FROM orders
CROSS JOIN LATERAL (VALUES
    (1, 'created'::order_event_kind, created_at),
    (2, 'assigned', CASE WHEN status <> 'created' THEN created_at + interval '1 minute' END),
    (3, 'arrived', created_at + 0.8 * (picked_at - created_at)),
    (4, 'picked_up', picked_at),
    (5, 'delivered', delivered_at),
    (6, 'cancelled', cancelled_at),
    (7, 'returned', CASE WHEN status = 'returned' THEN updated_at END)
) AS steps (step, kind, at)
CROSS JOIN LATERAL (SELECT kind IN ('arrived', 'picked_up', 'delivered')
    AND pg_temp.u('events.fix', orders.id * 8 + step) < 0.9 AS located) AS of_event
WHERE at IS NOT NULL AND at <= pg_temp.clock();

INSERT INTO withdrawal_requests (id, rider_id, amount, status, account_holder, account_number, ifsc, utr, failure_reason,
    requested_at, processed_at, created_at, updated_at)
SELECT i, riders.id,
    round((50 * power(20, pg_temp.u('withdrawals.amount', i)))::numeric, 0),
    status, riders.name,
    pg_temp.between('withdrawals.account', riders.id, 10000000000, 99999999999)::text,
    pg_temp.pick('withdrawals.bank', riders.id, ARRAY['HDFC0000','ICIC0000','SBIN0000','PUNB0000'])
        || to_char(pg_temp.between('withdrawals.branch', riders.id, 0, 999), 'FM000'),
    CASE WHEN status = 'paid' THEN 'UTR' || lpad(i::text, greatest(12, length(i::text)), '0') END,
    CASE status WHEN 'rejected' THEN 'account not verified' WHEN 'failed' THEN 'bank timeout' END,
    asked,
    CASE WHEN status IN ('paid', 'rejected', 'failed') THEN done END,
    asked,
    CASE WHEN status = 'requested' THEN asked ELSE done END
FROM generate_series(1, pg_temp.n(3000)) AS i
JOIN (SELECT id, name, created_at FROM riders WHERE status <> 'applied') AS riders
    ON riders.id = pg_temp.skewed('withdrawals.rider', i, (SELECT count(*) FROM riders))
CROSS JOIN LATERAL (SELECT pg_temp.since('withdrawals.asked', i, riders.created_at) AS asked) AS of_request
CROSS JOIN LATERAL (SELECT least(pg_temp.clock(), asked + pg_temp.u('withdrawals.days', i) * interval '3 days') AS done,
    (CASE WHEN asked > pg_temp.clock() - interval '3 days' OR i % 100 = 5
            THEN pg_temp.pick('withdrawals.open', i, ARRAY['requested','approved','processing'])
        WHEN pg_temp.u('withdrawals.end', i) < 0.93 THEN 'paid' WHEN pg_temp.u('withdrawals.end', i) < 0.97 THEN 'rejected'
        ELSE 'failed' END)::withdrawal_status AS status) AS of_end;

INSERT INTO wallet_ledger (id, rider_id, entry_type, amount, order_id, reference, metadata, created_at)
SELECT row_number() OVER (ORDER BY at, entry_type, id), rider_id, entry_type::ledger_entry_type, amount, order_id,
    upper(left(entry_type, 3)) || '-' || id, metadata, at
FROM (
    SELECT id, rider_id, 'earning' AS entry_type, delivery_fee AS amount, id AS order_id,
        jsonb_build_object('base', 20, 'distance_m', distance_m) AS metadata, delivered_at AS at
    FROM orders WHERE status = 'delivered'
    UNION ALL
    SELECT id, rider_id, 'tip', pg_temp.between('ledger.tip', id, 1, 20) * 5, id, '{}', delivered_at
    FROM orders WHERE status = 'delivered' AND pg_temp.u('ledger.tipped', id) < 0.12
    UNION ALL
    SELECT id, rider_id, 'incentive', 50, id, '{"campaign": "rain ☔"}', delivered_at
    FROM orders WHERE status = 'delivered' AND pg_temp.u('ledger.campaign', id) < 0.05
    UNION ALL
    SELECT id, rider_id, 'penalty', -25, id, '{"reason": "cancelled after assignment"}', cancelled_at
    FROM orders WHERE status = 'cancelled' AND rider_id IS NOT NULL AND pg_temp.u('ledger.fault', id) < 0.4
    UNION ALL
    SELECT id, rider_id, 'withdrawal', -amount, NULL, jsonb_build_object('utr', utr), processed_at
    FROM withdrawal_requests WHERE status = 'paid'
    UNION ALL
    SELECT id, rider_id, 'adjustment', pg_temp.between('ledger.mend', id, -40, 40), NULL,
        '{"by": "support", "note": "भुगतान सुधार"}', delivered_at
    FROM orders WHERE status = 'delivered' AND id % 211 = 3
) AS entries;

INSERT INTO duty_logs (id, rider_id, started_at, ended_at, start_lat, start_lon, end_reason, created_at)
SELECT i, riders.id, began,
    CASE WHEN NOT still THEN least(pg_temp.clock(), began + length) END,
    CASE WHEN pg_temp.u('duty.fix', i) < 0.95 THEN cities.lat + (pg_temp.u('duty.lat', i) - 0.5) * 0.1 END,
    CASE WHEN pg_temp.u('duty.fix', i) < 0.95 THEN cities.lon + (pg_temp.u('duty.lon', i) - 0.5) * 0.1 END,
    CASE WHEN NOT still THEN pg_temp.pick('duty.end', i, ARRAY['rider','rider','rider','timeout','suspension']) END,
    least(pg_temp.clock(), began + pg_temp.u('duty.delay', i)
        * CASE WHEN pg_temp.u('duty.late', i) < 0.02 THEN interval '20 hours' ELSE interval '1 second' END)
FROM generate_series(1, pg_temp.n(12000)) AS i
JOIN riders ON riders.id = pg_temp.skewed('duty.rider', i, (SELECT count(*) FROM riders)) AND riders.status <> 'applied'
JOIN cities ON cities.name = riders.city
CROSS JOIN LATERAL (SELECT i % 400 = 3 AS still, (2 + 8 * pg_temp.u('duty.hours', i)) * interval '1 hour' AS length,
    CASE WHEN i % 400 = 3 THEN pg_temp.clock() - pg_temp.u('duty.now', i) * interval '3 hours'
        ELSE pg_temp.edge(i, pg_temp.since('duty.began', i, riders.created_at)) END AS began) AS of_duty;

INSERT INTO location_logs (id, rider_id, lat, lon, accuracy, speed, created_at)
SELECT i, riders.id,
    cities.lat + (pg_temp.u('location.lat', i) - 0.5) * 0.2,
    cities.lon + (pg_temp.u('location.lon', i) - 0.5) * 0.2,
    CASE WHEN pg_temp.u('location.accuracy', i) < 0.95 THEN 3 + 60 * power(pg_temp.u('location.accuracy', i), 4) END,
    CASE WHEN pg_temp.u('location.speed', i) < 0.9 THEN 16 * pg_temp.u('location.speed', i) END,
    pg_temp.edge(i, pg_temp.since('location.at', i, riders.created_at))
FROM generate_series(1, pg_temp.n(60000)) AS i
JOIN riders ON riders.id = pg_temp.skewed('location.rider', i, (SELECT count(*) FROM riders)) AND riders.status <> 'applied'
JOIN cities ON cities.name = riders.city;

INSERT INTO support_tickets (id, rider_id, order_id, category, status, priority, subject, body, tags, opened_at, resolved_at,
    created_at, updated_at)
SELECT row_number() OVER (ORDER BY i), orders.rider_id,
    CASE WHEN category = 'order' THEN orders.id END,
    category, status,
    CASE category WHEN 'accident' THEN 1 WHEN 'payout' THEN 2 ELSE pg_temp.between('tickets.priority', i, 3, 5) END,
    pg_temp.pick('tickets.subject', i, ARRAY['Payout missing','पैसे नहीं मिले','App crash','Customer unreachable 📵','Document rejected']),
    pg_temp.pick('tickets.body', i, ARRAY['Please check since yesterday.','मेरा खाता देखिए','App closes when I open the map.',
        E'Called 3 times.\nNo answer.','ദയവായി സഹായിക്കുക']) || ' Call me: ' || riders.mobile,
    CASE WHEN i % 3 = 0 THEN ARRAY['bot'] WHEN i % 7 = 0 THEN ARRAY['escalated', category] ELSE '{}' END,
    opened,
    CASE WHEN status IN ('resolved', 'closed') THEN ended END,
    opened,
    CASE WHEN status = 'open' THEN opened ELSE ended END
FROM generate_series(1, pg_temp.n(2000)) AS i
JOIN (SELECT id, rider_id, created_at FROM orders) AS orders
    ON orders.id = pg_temp.between('tickets.order', i, 1, (SELECT max(id) FROM orders))
JOIN (SELECT id, mobile FROM riders) AS riders ON riders.id = orders.rider_id
CROSS JOIN LATERAL (SELECT pg_temp.pick('tickets.category', i, ARRAY['payout','app','order','order','accident','documents']) AS category,
    least(pg_temp.clock(), orders.created_at + pg_temp.u('tickets.opened', i) * interval '2 days') AS opened) AS of_ticket
CROSS JOIN LATERAL (SELECT least(pg_temp.clock(), opened + pg_temp.u('tickets.ended', i) * interval '6 days') AS ended,
    (CASE WHEN opened > pg_temp.clock() - interval '3 days' OR i % 50 = 9 THEN pg_temp.pick('tickets.open', i, ARRAY['open','pending'])
        ELSE pg_temp.pick('tickets.done', i, ARRAY['resolved','closed']) END)::ticket_status AS status) AS of_end;
