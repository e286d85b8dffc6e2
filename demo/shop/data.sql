-- shop: vendors, shops, customers, products, orders and their items; payments and reviews are in data_after_real.sql.
-- Parameters and pg_temp functions come from the runner (demo/generate.py, demo/helpers.sql). With demo.real on, real.sql
-- writes these tables.

CALL pg_temp.make_months('orders', '{table}_{year}_{month}');

-- Generated for both: a vendor is known to no public file.
CREATE PROCEDURE pg_temp.make_vendors(count bigint, country text) LANGUAGE sql AS $$
    INSERT INTO vendors (id, legal_name, contact_name, email, phone, tax_id, payout_account, country, commission_rate, status,
        created_at, updated_at)
    SELECT pg_temp.uuid('vendors', i),
        pg_temp.pick('vendors.word', i, ARRAY['Lotus','山川','Mercado','Blue Whale','Banyan','São Jorge','Kirana','Aurora'])
            || ' ' || pg_temp.pick('vendors.trade', i, ARRAY['Trading','Home','Sports','Electronics','Moda','Books'])
            || ' ' || i || ' ' || pg_temp.pick('vendors.form', i, ARRAY['Pte. Ltd.','LLP','株式会社','Ltda.','& Co.']),
        pg_temp.person_name('vendors', i, here),
        'vendor' || i || '@' || pg_temp.pick('vendors.host', i, ARRAY['example.com','example.net','shop.example.org']),
        CASE WHEN pg_temp.u('vendors.phone', i) < 0.9
            THEN '+' || pg_temp.pick('vendors.code', i, ARRAY['91','81','65','61']) || 2000000000 + i END,
        'T' || pg_temp.between('vendors.tax', i, 100000000, 999999999),
        'ACC' || pg_temp.between('vendors.account', i, 1000000000, 9999999999),
        here,
        round((0.05 + 0.15 * pg_temp.u('vendors.commission', i))::numeric, 4),
        (CASE WHEN pg_temp.u('vendors.status', i) < 0.9 THEN 'active'
            ELSE pg_temp.pick('vendors.other', i, ARRAY['onboarding','suspended','left']) END)::vendor_status,
        joined,
        pg_temp.later('vendors.updated', i, joined, 0.5)
    FROM generate_series(1, count) AS i
    CROSS JOIN LATERAL (SELECT pg_temp.clock() - (0.8 + pg_temp.u('vendors.joined', i)) * interval '21800 hours' AS joined,
        coalesce(country, pg_temp.pick('vendors.country', i, ARRAY['IN','IN','JP','CN','AU','SG'])) AS here) AS of_vendor
$$;

-- Who is to become a customer: generated here, or real. Names and contacts are generated for both.
CREATE TEMPORARY TABLE buyers (
    nr bigint, id uuid, unique_id uuid, zip_prefix text, city text, state text, country text, since timestamptz
) ON COMMIT DROP;

CREATE PROCEDURE pg_temp.enlist_customers() LANGUAGE sql AS $$
    INSERT INTO customers (id, unique_id, name, email, phone, zip_prefix, city, state, country, marketing_opt_in, last_ip,
        created_at, updated_at)
    SELECT id, unique_id,
        pg_temp.person_name('customers', person, country),
        'customer' || left(unique_id::text, 8) || right(unique_id::text, 4) || '@'
            || pg_temp.pick('customers.host', person, ARRAY['example.com','example.org','mail.example.net']),
        CASE WHEN pg_temp.u('customers.phone', person) < 0.8 THEN '+'
            || CASE country WHEN 'IN' THEN '91' WHEN 'JP' THEN '81' WHEN 'CN' THEN '86' WHEN 'BR' THEN '55' ELSE '61' END
            || pg_temp.between('customers.number', person, 1000000000, 9999999999) END,
        zip_prefix, city, state, country,
        pg_temp.u('customers.opt_in', nr) < 0.3,
        CASE WHEN pg_temp.u('customers.ip', nr) < 0.9 THEN pg_temp.address(nr) END,
        since,
        pg_temp.later('customers.updated', nr, since, 0.3)
    FROM buyers
    CROSS JOIN LATERAL (SELECT hashtextextended(unique_id::text, 0) AS person) AS same_person
$$;

-- With generated data vendors, shops, customers and articles are numbered, so that an order finds them without a join.
CALL pg_temp.make_vendors(CASE current_setting('demo.real') WHEN 'off' THEN pg_temp.n(400) ELSE 0 END, NULL);

INSERT INTO shops (id, vendor_id, name, slug, status, zip_prefix, city, state, country, settings, created_at, updated_at)
SELECT pg_temp.uuid('shops', i), vendors.id,
    pg_temp.pick('shops.name', i, ARRAY['Little Lotus','和の店','Casa Bela','Monsoon','Koala Corner','চা ঘর','Skyline']) || ' ' || i,
    pg_temp.pick('shops.slug', i, ARRAY['lotus','wa','casa','monsoon','koala','cha','sky']) || '-' || i,
    (CASE WHEN pg_temp.u('shops.status', i) < 0.92 THEN 'open' WHEN pg_temp.u('shops.status', i) < 0.97 THEN 'paused'
        ELSE 'closed' END)::shop_status,
    pg_temp.between('shops.zip', i, 10000, 99999)::text,
    pg_temp.pick('shops.city', i, ARRAY['Mumbai','Bengaluru','東京','上海','Sydney','Singapore']), NULL,
    vendors.country,
    jsonb_build_object('return_days', pg_temp.between('shops.return', i, 7, 30), 'theme', pg_temp.pick('shops.theme', i, ARRAY['light','dark'])),
    vendors.created_at + interval '1 day',
    pg_temp.later('shops.updated', i, vendors.created_at + interval '1 day', 0.4)
FROM generate_series(1, pg_temp.n(520)) AS i
JOIN vendors ON vendors.id = pg_temp.uuid('vendors', 1 + (i - 1) % pg_temp.n(400))
WHERE current_setting('demo.real') = 'off';

-- One person in fifty has bought as a guest before and has a second row.
INSERT INTO buyers
SELECT i, pg_temp.uuid('customers', i),
    pg_temp.uuid('persons', CASE WHEN i % 50 = 0 THEN i / 2 ELSE i END),
    pg_temp.between('customers.zip', i, 10000, 99999)::text,
    pg_temp.pick('customers.city', i, ARRAY['Mumbai','Pune','東京','大阪','北京','Melbourne','Singapore','Chennai']),
    CASE WHEN pg_temp.u('customers.state', i) < 0.6 THEN pg_temp.pick('customers.region', i, ARRAY['MH','KA','TN','VIC','NSW']) END,
    pg_temp.pick('customers.country', i, ARRAY['IN','IN','IN','JP','CN','AU','SG']),
    pg_temp.clock() - power(pg_temp.u('customers.since', i), 0.7) * interval '21800 hours'
FROM generate_series(1, pg_temp.n(12000)) AS i
WHERE current_setting('demo.real') = 'off';

CALL pg_temp.enlist_customers();

INSERT INTO products (id, shop_id, name, category, list_price, currency, name_length, description_length, photos_qty, weight_g,
    length_cm, height_cm, width_cm, tags, is_active, created_at, updated_at)
SELECT pg_temp.uuid('products', i),
    CASE WHEN i % 20 <> 0 THEN pg_temp.uuid('shops', pg_temp.skewed('products.shop', i, pg_temp.n(520))) END,
    name, category,
    CASE WHEN pg_temp.u('products.request', i) < 0.98 THEN round((3 * power(300, power(pg_temp.u('products.price', i), 2)))::numeric, 2) END,
    'USD', length(name), pg_temp.between('products.text', i, 40, 3000), pg_temp.between('products.photos', i, 1, 8),
    pg_temp.between('products.weight', i, 50, 20000), pg_temp.between('products.length', i, 7, 100),
    pg_temp.between('products.height', i, 2, 80), pg_temp.between('products.width', i, 6, 80),
    CASE WHEN category IS NOT NULL THEN ARRAY[category, pg_temp.pick('products.tag', i, ARRAY['new','sale','eco','gift 🎁'])] ELSE '{}' END,
    pg_temp.u('products.active', i) < 0.9,
    listed, pg_temp.later('products.updated', i, listed, 0.5)
FROM generate_series(1, pg_temp.n(6000)) AS i
CROSS JOIN LATERAL (SELECT
    CASE WHEN pg_temp.u('products.filed', i) < 0.97 THEN pg_temp.pick('products.category', i,
        ARRAY['home','sports','electronics','beauty','toys','books','garden','fashion']) END AS category,
    pg_temp.pick('products.noun', i, ARRAY['Teapot','Yoga mat','ランプ','充电器','Sari','Cricket bat','Rede de dormir','Lunch box']) || ' '
        || pg_temp.pick('products.kind', i, ARRAY['classic','mini','Pro','deluxe','2-pack']) || ' ' || i AS name,
    pg_temp.clock() - (0.8 + pg_temp.u('products.listed', i)) * interval '21800 hours' AS listed) AS of_product
WHERE current_setting('demo.real') = 'off';

-- Items first: an order's total is their sum. One order in a hundred has none.
CREATE TEMPORARY TABLE basket ON COMMIT DROP AS
SELECT i AS nr, item_no, article,
    CASE WHEN article % 20 <> 0 THEN pg_temp.skewed('products.shop', article, pg_temp.n(520))
        ELSE pg_temp.skewed('items.shop', i * 16 + item_no, pg_temp.n(520)) END AS shop,
    CASE WHEN pg_temp.u('items.many', i * 16 + item_no) < 0.12 THEN pg_temp.between('items.quantity', i * 16 + item_no, 2, 5) ELSE 1 END
        ::integer AS quantity,
    round((3 * power(300, power(pg_temp.u('products.price', article), 2))
        * (0.85 + 0.15 * pg_temp.u('items.discount', i * 16 + item_no)))::numeric, 2) AS unit_price,
    round((2 + 14 * pg_temp.u('items.freight', i * 16 + item_no))::numeric, 2) AS freight
FROM generate_series(1, pg_temp.n(40000)) AS i
CROSS JOIN LATERAL generate_series(1, CASE WHEN i % 100 = 17 THEN 0
    ELSE 1 + floor(5 * power(pg_temp.u('orders.items', i), 12))::integer END) AS item_no
CROSS JOIN LATERAL (SELECT pg_temp.skewed('items.product', i * 16 + item_no, pg_temp.n(6000)) AS article) AS of_item
WHERE current_setting('demo.real') = 'off';

-- Without statistics the joins below go wrong.
ANALYZE buyers, basket;

INSERT INTO orders (id, customer_id, status, total_amount, currency, created_at, approved_at, shipped_at, delivered_at,
    estimated_delivery_at, updated_at)
SELECT pg_temp.uuid('orders', i), buyers.id, status, coalesce(total, 0), 'USD', placed,
    CASE WHEN status NOT IN ('created', 'canceled') THEN approved END,
    CASE WHEN status IN ('shipped', 'delivered') THEN shipped END,
    CASE WHEN status = 'delivered' THEN arrived END,
    date_trunc('day', placed, 'UTC') + (7 + pg_temp.between('orders.promise', i, 0, 14)) * interval '1 day',
    CASE status WHEN 'created' THEN placed WHEN 'canceled' THEN least(pg_temp.clock(), placed + interval '3 hours')
        WHEN 'shipped' THEN shipped WHEN 'delivered' THEN pg_temp.later('orders.updated', i, arrived, 0.05) ELSE approved END
FROM generate_series(1, pg_temp.n(40000)) AS i
JOIN buyers ON buyers.nr = pg_temp.skewed('orders.customer', i, pg_temp.n(12000))
LEFT JOIN (SELECT nr, sum(unit_price * quantity + freight) AS total FROM basket GROUP BY nr) AS totals ON totals.nr = i
CROSS JOIN LATERAL (SELECT pg_temp.edge(i, pg_temp.since('orders.placed', i, buyers.since)) AS placed) AS of_order
CROSS JOIN LATERAL (SELECT
    least(pg_temp.clock(), placed + pg_temp.u('orders.approve', i) * interval '20 hours') AS approved,
    placed + interval '20 hours' + pg_temp.u('orders.pack', i) * interval '4 days' AS shipped,
    placed + interval '5 days' + power(pg_temp.u('orders.carry', i), 3) * interval '25 days' AS arrived) AS of_way
CROSS JOIN LATERAL (SELECT (CASE
    WHEN total IS NULL THEN pg_temp.pick('orders.empty', i, ARRAY['unavailable','unavailable','canceled','created'])
    WHEN pg_temp.u('orders.end', i) < 0.02 THEN 'canceled' WHEN pg_temp.u('orders.end', i) < 0.025 THEN 'unavailable'
    WHEN arrived <= pg_temp.clock() THEN 'delivered' WHEN shipped <= pg_temp.clock() THEN 'shipped'
    WHEN approved < pg_temp.clock() THEN pg_temp.pick('orders.stage', i, ARRAY['approved','invoiced','processing'])
    ELSE 'created' END)::order_status AS status) AS of_status
WHERE current_setting('demo.real') = 'off';

ANALYZE orders;

INSERT INTO order_items (order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight, shipping_limit_at,
    created_at, updated_at)
SELECT orders.id, item_no, orders.created_at, pg_temp.uuid('shops', shop), pg_temp.uuid('products', article), quantity, unit_price,
    freight, orders.created_at + interval '5 days', orders.created_at, orders.created_at
FROM basket JOIN orders ON orders.id = pg_temp.uuid('orders', basket.nr);

ANALYZE order_items;
