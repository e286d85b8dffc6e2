-- shop: rows from the temporary tables that real.py filled (see there and docs/real-data.md).

-- The files tell the wall time in Brazil. It is read with the zone's rule of its own day, then moved by whole days of
-- 24 hours, so that the spans between an order's times stay what they were.
CREATE FUNCTION pg_temp.moved(written timestamp) RETURNS timestamptz LANGUAGE sql STABLE AS
$$ SELECT written AT TIME ZONE 'America/Sao_Paulo' + current_setting('demo.shift')::interval $$;

INSERT INTO shops (id, vendor_id, name, slug, zip_prefix, city, state, country, settings, created_at, updated_at)
SELECT numbered.id, vendors.id, 'Loja ' || initcap(left(city, 30)) || ' ' || left(numbered.id::text, 6),
    'loja-' || replace(numbered.id::text, '-', ''), zip_prefix, city, state, 'BR',
    jsonb_build_object('return_days', 7), vendors.created_at + interval '1 day', vendors.created_at + interval '1 day'
FROM (SELECT *, row_number() OVER (ORDER BY id) - 1 AS nr FROM sellers) AS numbered
JOIN vendors ON vendors.id = pg_temp.uuid('vendors', 1 + nr % (SELECT count(*) FROM vendors));

INSERT INTO buyers
SELECT row_number() OVER (ORDER BY people.id), people.id, unique_id, zip_prefix, city, state, 'BR', pg_temp.moved(purchased)
FROM people JOIN purchases ON customer_id = people.id;

CALL pg_temp.enlist_customers();

-- An article belongs to the shop that sells it, if only one does. Its list price is the highest at which it was sold.
INSERT INTO products (id, shop_id, name, category, list_price, currency, name_length, description_length, photos_qty, weight_g,
    length_cm, height_cm, width_cm, tags, created_at, updated_at)
SELECT articles.id, CASE WHEN shops = 1 THEN shop END,
    initcap(replace(coalesce(category, 'artigo'), '_', ' ')) || ' ' || left(articles.id::text, 8),
    category, price, 'BRL', name_length, description_length, photos_qty, weight_g, length_cm, height_cm, width_cm,
    CASE WHEN category IS NULL THEN '{}' ELSE string_to_array(category, '_') END,
    listed, listed
FROM articles
LEFT JOIN (
    SELECT product_id, count(DISTINCT shop_id) AS shops, min(shop_id::text)::uuid AS shop, max(price) AS price, min(purchased) AS sold
    FROM positions JOIN purchases ON purchases.id = order_id GROUP BY product_id
) AS sales ON sales.product_id = articles.id
CROSS JOIN LATERAL (SELECT coalesce(pg_temp.moved(sold), pg_temp.clock()) - interval '30 days' AS listed) AS listing;

-- Deliveries of the last weeks were still to come on the day of the last purchase; what changed a row cannot be later
-- than the present.
INSERT INTO orders (id, customer_id, status, total_amount, currency, created_at, approved_at, shipped_at, delivered_at,
    estimated_delivery_at, updated_at)
SELECT id, customer_id, status, coalesce(total, 0), 'BRL', pg_temp.moved(purchased), pg_temp.moved(approved), pg_temp.moved(shipped),
    pg_temp.moved(delivered), pg_temp.moved(estimated),
    least(pg_temp.clock(), greatest(pg_temp.moved(purchased), pg_temp.moved(approved), pg_temp.moved(shipped), pg_temp.moved(delivered)))
FROM purchases
LEFT JOIN (SELECT order_id, sum(price + freight) AS total FROM positions GROUP BY order_id) AS totals ON order_id = id;

INSERT INTO order_items (order_id, item_no, order_created_at, shop_id, product_id, quantity, unit_price, freight, shipping_limit_at,
    created_at, updated_at)
SELECT order_id, item_no, pg_temp.moved(purchased), shop_id, product_id, 1, price, freight, pg_temp.moved(shipping_limit),
    pg_temp.moved(purchased), pg_temp.moved(purchased)
FROM positions JOIN purchases ON purchases.id = order_id;

ANALYZE customers, orders, order_items;
