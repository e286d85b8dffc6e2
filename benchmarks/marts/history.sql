-- Raw rows beyond those of the fill: :rows ledger entries and :rows order items, the orders that they belong to, and the
-- riders and shops that share them unevenly. Written straight into the raw tables before any model follows them.
-- Everybody's days: 870 of them from 2024-05-01 on.
DO $months$
DECLARE
    relation text;
    month date;
BEGIN
    FOREACH relation IN ARRAY ARRAY['raw_logistics.wallet_ledger', 'raw_shop.orders'] LOOP
        FOR month IN SELECT generate_series(date '2024-05-01', date '2026-09-01', interval '1 month') LOOP
            BEGIN
                EXECUTE format('CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
                               relation || '_made_' || to_char(month, 'YYYY_MM'), relation,
                               month || ' 00:00+00', (month + interval '1 month')::date || ' 00:00+00');
            EXCEPTION WHEN invalid_object_definition THEN NULL;  -- the fill has made it
            END;
        END LOOP;
    END LOOP;
END
$months$;

INSERT INTO raw_logistics.riders (id, name, city, status, created_at, updated_at)
SELECT 1000000 + i, 'Rider ' || i, 'City ' || i % 40, CASE WHEN i % 10 < 9 THEN 'active' ELSE 'inactive' END::raw_logistics.rider_status,
       timestamptz '2024-05-01+00', timestamptz '2024-05-01+00'
  FROM generate_series(0, :riders - 1) AS i;

INSERT INTO raw_logistics.orders (id, rider_id, status, created_at, updated_at)
SELECT 100000000 + i, 1000000 + (:riders * (hashint8(i) & 65535)::bigint * (hashint8(i) & 65535) / 4294967296)::bigint,
       CASE WHEN i % 20 = 0 THEN 'cancelled' ELSE 'delivered' END::raw_logistics.order_status,
       timestamptz '2024-05-01+00' + i * (interval '870 days' / (:rows * 2 / 5)), timestamptz '2026-09-01+00'
  FROM generate_series(1, :rows * 2 / 5) AS i;

INSERT INTO raw_logistics.wallet_ledger (id, rider_id, entry_type, amount, currency, order_id, reference, created_at)
SELECT 100000000 + i, 1000000 + (:riders * (hashint8(i) & 65535)::bigint * (hashint8(i) & 65535) / 4294967296)::bigint,
       (ARRAY['earning', 'earning', 'tip', 'incentive', 'withdrawal'])[1 + i % 5]::raw_logistics.ledger_entry_type,
       20 + i % 9000 / 100.0, 'INR', 100000000 + i * 2 / 5, 'L' || i,
       timestamptz '2024-05-01+00' + i * (interval '870 days' / :rows)
  FROM generate_series(1, :rows) AS i;

INSERT INTO raw_shop.shops (id, vendor_id, name, status, created_at, updated_at)
SELECT md5('shop ' || i)::uuid, md5('vendor ' || i)::uuid, 'Shop ' || i, 'open', timestamptz '2024-05-01+00', timestamptz '2024-05-01+00'
  FROM generate_series(0, :shops - 1) AS i;

INSERT INTO raw_shop.orders (id, customer_id, status, total_amount, currency, created_at, delivered_at, estimated_delivery_at, updated_at)
SELECT md5('order ' || i)::uuid, md5('customer ' || i)::uuid,
       CASE WHEN i % 20 = 0 THEN 'canceled' ELSE 'delivered' END::raw_shop.order_status, 50, 'BRL', at,
       CASE WHEN i % 20 > 0 THEN at + interval '4 days' + i % 1000 * interval '7 minutes' END, at + interval '8 days', at
  FROM generate_series(1, :rows * 2 / 5) AS i,
       LATERAL (SELECT timestamptz '2024-05-01+00' + i * (interval '870 days' / (:rows * 2 / 5)) AS at) AS moment;

INSERT INTO raw_shop.order_items
    (order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight, created_at, updated_at)
SELECT md5('order ' || i)::uuid, n, at, md5('shop ' || (hashint8(i * 7 + n) & 2147483647) % :shops)::uuid,
       md5('product ' || (i * 7 + n) % 20000)::uuid, 1 + i % 3, 5 + i % 5000 / 100.0, 2.50, at, at
  FROM generate_series(1, :rows * 2 / 5) AS i,
       LATERAL (SELECT timestamptz '2024-05-01+00' + i * (interval '870 days' / (:rows * 2 / 5)) AS at) AS moment,
       LATERAL generate_series(1, 2 + i % 2) AS n;

VACUUM ANALYZE raw_logistics.orders, raw_logistics.wallet_ledger, raw_shop.orders, raw_shop.order_items;
