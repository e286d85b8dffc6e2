-- One round of use: :rows new ledger entries with their orders, :rows new order items with theirs, 2 % of them late (of any
-- month); of every thousand as many corrections and deletes. Written as ingestion writes them: the rows and their changes,
-- in one transaction. :first is a number that no earlier round used.
BEGIN;

WITH added AS (
    INSERT INTO raw_logistics.orders (id, rider_id, status, created_at, updated_at)
    SELECT :first + i, 1000000 + (:riders * (hashint8(i) & 65535)::bigint * (hashint8(i) & 65535) / 4294967296)::bigint, 'delivered',
           CASE WHEN i % 50 = 0 THEN timestamptz '2024-05-01+00' + i % 870 * interval '1 day'
                ELSE timestamptz '2026-09-18+00' + i * (interval '8 days' / (:rows * 2 / 5)) END, timestamptz '2026-09-28+00'
      FROM generate_series(1, :rows * 2 / 5) AS i RETURNING *
)
INSERT INTO raw_logistics.orders__changes (sign, id, rider_id, status, created_at)
SELECT 1, id, rider_id, status, created_at FROM added;

WITH added AS (
    INSERT INTO raw_logistics.wallet_ledger (id, rider_id, entry_type, amount, currency, order_id, reference, created_at)
    SELECT :first + i, 1000000 + (:riders * (hashint8(i) & 65535)::bigint * (hashint8(i) & 65535) / 4294967296)::bigint,
           (ARRAY['earning', 'earning', 'tip', 'incentive', 'withdrawal'])[1 + i % 5]::raw_logistics.ledger_entry_type,
           20 + i % 9000 / 100.0, 'INR', :first + i * 2 / 5, 'L' || i,
           CASE WHEN i % 50 = 0 THEN timestamptz '2024-05-01+00' + i % 870 * interval '1 day'
                ELSE timestamptz '2026-09-18+00' + i * (interval '8 days' / :rows) END
      FROM generate_series(1, :rows) AS i RETURNING *
)
INSERT INTO raw_logistics.wallet_ledger__changes (sign, id, rider_id, entry_type, amount, currency, order_id, created_at)
SELECT 1, id, rider_id, entry_type, amount, currency, order_id, created_at FROM added;

WITH gone AS (
    DELETE FROM raw_logistics.wallet_ledger
     WHERE created_at >= '2026-08-01+00' AND created_at < '2026-09-01+00' AND id % 1000 = :first / 1000000000 RETURNING *
)
INSERT INTO raw_logistics.wallet_ledger__changes (sign, id, rider_id, entry_type, amount, currency, order_id, created_at)
SELECT -1, id, rider_id, entry_type, amount, currency, order_id, created_at FROM gone;

WITH added AS (
    INSERT INTO raw_shop.orders
        (id, customer_id, status, total_amount, currency, created_at, delivered_at, estimated_delivery_at, updated_at)
    SELECT md5(:first || ' order ' || i)::uuid, md5('customer ' || i)::uuid, 'delivered', 50, 'BRL', at,
           at + interval '4 days' + i % 1000 * interval '7 minutes', at + interval '8 days', at
      FROM generate_series(1, :rows * 2 / 5) AS i,
           LATERAL (SELECT CASE WHEN i % 50 = 0 THEN timestamptz '2024-05-01+00' + i % 870 * interval '1 day'
                                ELSE timestamptz '2026-09-18+00' + i * (interval '8 days' / (:rows * 2 / 5)) END AS at) AS moment
    RETURNING *
)
INSERT INTO raw_shop.orders__changes (sign, id, customer_id, status, total_amount, currency, created_at, delivered_at)
SELECT 1, id, customer_id, status, total_amount, currency, created_at, delivered_at FROM added;

WITH added AS (
    INSERT INTO raw_shop.order_items
        (order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight, created_at, updated_at)
    SELECT md5(:first || ' order ' || i)::uuid, n, at, md5('shop ' || (hashint8(i * 7 + n) & 2147483647) % :shops)::uuid,
           md5('product ' || (i * 7 + n) % 20000)::uuid, 1 + i % 3, 5 + i % 5000 / 100.0, 2.50, at, at
      FROM generate_series(1, :rows * 2 / 5) AS i,
           LATERAL (SELECT CASE WHEN i % 50 = 0 THEN timestamptz '2024-05-01+00' + i % 870 * interval '1 day'
                                ELSE timestamptz '2026-09-18+00' + i * (interval '8 days' / (:rows * 2 / 5)) END AS at) AS moment,
           LATERAL generate_series(1, 2 + i % 2) AS n
    RETURNING *
)
INSERT INTO raw_shop.order_items__changes (sign, order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight)
SELECT 1, order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight FROM added;

WITH old AS (
    SELECT * FROM raw_shop.order_items
     WHERE order_created_at >= '2026-08-01+00' AND order_created_at < '2026-08-02+00' AND item_no = 1 AND quantity > 1
     ORDER BY order_id LIMIT :rows / 1000
), new AS (
    UPDATE raw_shop.order_items AS i SET quantity = 1 FROM old
     WHERE i.order_id = old.order_id AND i.item_no = old.item_no RETURNING i.*
)
INSERT INTO raw_shop.order_items__changes (sign, order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight)
SELECT -1, order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight FROM old
UNION ALL
SELECT 1, order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight FROM new;

COMMIT;
