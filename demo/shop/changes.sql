-- shop: one round of use: new and late orders, progress of earlier ones, updates and deletes. Parameters and pg_temp
-- functions come from the runner; salts carry the round, so that each round does something else.

-- Parcels move on: the oldest arrive, paid orders are shipped, payments are settled. This changes rows of past months.
UPDATE orders SET status = 'delivered', delivered_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE (id, created_at) IN (SELECT id, created_at FROM orders WHERE status = 'shipped' AND shipped_at < pg_temp.clock()
    ORDER BY created_at, id LIMIT pg_temp.n(40));

UPDATE orders SET status = 'shipped', shipped_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE (id, created_at) IN (SELECT id, created_at FROM orders WHERE status IN ('approved', 'invoiced', 'processing')
    ORDER BY created_at, id LIMIT pg_temp.n(40));

WITH settled AS (
    UPDATE payments SET status = 'captured', captured_at = pg_temp.clock(), updated_at = pg_temp.clock()
    WHERE status = 'authorized' AND created_at < pg_temp.clock() - interval '5 minutes' AND id % 5 = pg_temp.round() % 5
    RETURNING order_id
)
UPDATE orders SET status = 'approved', approved_at = pg_temp.clock(), updated_at = pg_temp.clock()
WHERE status = 'created' AND id IN (SELECT order_id FROM settled);

-- New customers, and orders of old and new ones. Every eighth comes from a market that hands over its sales weeks later.
INSERT INTO customers (id, unique_id, name, email, country, city, created_at, updated_at)
SELECT pg_temp.uuid('customers.round' || pg_temp.round(), i), pg_temp.uuid('persons.round' || pg_temp.round(), i),
    pg_temp.person_name('customers.round' || pg_temp.round(), i, 'CN'), 'new' || pg_temp.round() || '.' || i || '@example.com', 'SG', 'Singapore',
    pg_temp.clock() - interval '10 minutes', pg_temp.clock()
FROM generate_series(1, pg_temp.n(10)) AS i;

CREATE TEMPORARY TABLE basket ON COMMIT DROP AS
SELECT pg_temp.uuid('orders.round' || pg_temp.round(), i) AS order_id, item_no, customers.id AS customer_id, products.shop_id, products.id AS product_id,
    pg_temp.between('items.quantity' || pg_temp.round(), i, 1, 2)::integer AS quantity, products.list_price, products.currency,
    pg_temp.clock() - CASE WHEN i % 8 = 0 THEN interval '35 days' + pg_temp.u('orders.late' || pg_temp.round(), i) * interval '30 days'
        ELSE pg_temp.u('orders.ago' || pg_temp.round(), i) * interval '9 minutes' END AS placed
FROM generate_series(1, pg_temp.n(60)) AS i
CROSS JOIN LATERAL generate_series(1, 1 + i % 2) AS item_no
JOIN (SELECT id, row_number() OVER (ORDER BY created_at DESC, id) AS nr, count(*) OVER () AS of FROM customers) AS customers
    ON customers.nr = 1 + floor(pg_temp.u('orders.customer' || pg_temp.round(), i) * customers.of)
JOIN (SELECT id, shop_id, list_price, currency, row_number() OVER (ORDER BY id) AS nr, count(*) OVER () AS of
    FROM products WHERE shop_id IS NOT NULL AND list_price IS NOT NULL) AS products
    ON products.nr = 1 + floor(pg_temp.u('orders.product' || pg_temp.round(), i * 2 + item_no) * products.of);

INSERT INTO orders (id, customer_id, status, total_amount, currency, created_at, estimated_delivery_at, updated_at)
SELECT order_id, customer_id, 'created', sum(list_price * quantity + 5), min(currency), placed, placed + interval '14 days', pg_temp.clock()
FROM basket GROUP BY order_id, customer_id, placed ORDER BY order_id;

INSERT INTO order_items (order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight, created_at, updated_at)
SELECT order_id, item_no, placed, shop_id, product_id, quantity, list_price, 5, pg_temp.clock(), pg_temp.clock() FROM basket;

INSERT INTO payments (order_id, customer_id, method, status, amount, currency, provider_ref, created_at, updated_at)
SELECT id, customer_id, 'wallet', 'authorized', total_amount, currency, 'pay_' || id, created_at, pg_temp.clock()
FROM orders WHERE id IN (SELECT order_id FROM basket) ORDER BY id;

-- A cancellation, refunded.
WITH withdrawn AS (
    UPDATE orders SET status = 'canceled', updated_at = pg_temp.clock()
    WHERE (id, created_at) IN (SELECT id, created_at FROM orders WHERE status IN ('approved', 'invoiced', 'processing')
        ORDER BY id LIMIT 2)
    RETURNING id
)
UPDATE payments SET status = 'refunded', updated_at = pg_temp.clock()
WHERE order_id IN (SELECT id FROM withdrawn) AND status = 'captured';

-- Prices, addresses, reviews: written, mended, withdrawn.
UPDATE products SET list_price = round(list_price * 1.1, 2), updated_at = pg_temp.clock()
WHERE id IN (SELECT id FROM products ORDER BY md5(id::text || pg_temp.round()) LIMIT pg_temp.n(20));

UPDATE customers SET city = 'Kuala Lumpur', updated_at = pg_temp.clock()
WHERE id IN (SELECT id FROM customers ORDER BY md5(id::text || pg_temp.round()) LIMIT pg_temp.n(15));

DELETE FROM reviews
WHERE id IN (SELECT id FROM reviews ORDER BY hashint8extended(id, pg_temp.round()) LIMIT pg_temp.n(20));
UPDATE reviews SET rating = 1, body = 'Broke after a week.', updated_at = pg_temp.clock()
WHERE id IN (SELECT id FROM reviews ORDER BY hashint8extended(id, -pg_temp.round()) LIMIT pg_temp.n(20));
INSERT INTO reviews (order_id, shop_id, product_id, customer_id, rating, body, created_at, updated_at)
SELECT id, shop_id, product_id, customer_id, 5, 'Arrived today 🎉', pg_temp.clock(), pg_temp.clock()
FROM orders JOIN order_items ON order_id = id AND order_created_at = orders.created_at AND item_no = 1
WHERE delivered_at = pg_temp.clock() ORDER BY id
ON CONFLICT DO NOTHING;
