-- shop: payments and reviews, which hang on orders, be they real or generated.

-- One order in twenty-five is paid in two parts. Money is captured when the order is approved.
INSERT INTO payments (id, order_id, customer_id, method, status, amount, currency, installments, payer_name, payer_tax_id,
    card_last4, provider_ref, created_at, captured_at, updated_at)
SELECT row_number() OVER (ORDER BY orders.created_at, orders.id, part), orders.id, orders.customer_id, method, state, amount, orders.currency,
    CASE WHEN method = 'credit_card' THEN 1 + floor(10 * power(pg_temp.u('payments.rates', nr), 4))::integer ELSE 1 END,
    CASE WHEN method <> 'voucher' THEN customers.name END,
    CASE WHEN pg_temp.u('payments.invoice', nr) < 0.3 THEN to_char(pg_temp.between('payments.tax', nr, 0, 99999999999), 'FM00000000000') END,
    CASE WHEN method IN ('credit_card', 'debit_card') THEN to_char(pg_temp.between('payments.card', nr, 0, 9999), 'FM0000') END,
    'pay_' || left(replace(orders.id::text, '-', ''), 24) || '_' || part,
    orders.created_at,
    CASE WHEN state IN ('captured', 'refunded') THEN coalesce(orders.approved_at, orders.created_at) END,
    greatest(orders.created_at, CASE state WHEN 'refunded' THEN orders.updated_at
        WHEN 'captured' THEN least(pg_temp.clock(), orders.approved_at) END)
FROM orders
JOIN (SELECT id, name FROM customers) AS customers ON customers.id = orders.customer_id
CROSS JOIN LATERAL (SELECT hashtextextended(orders.id::text, 0) AS hash) AS hashed
CROSS JOIN LATERAL (SELECT pg_temp.u('payments.split', hash) < 0.04 AS split) AS of_order
CROSS JOIN LATERAL generate_series(1, CASE WHEN split THEN 2 ELSE 1 END) AS part
CROSS JOIN LATERAL (SELECT hash + part AS nr,
    CASE WHEN NOT split THEN orders.total_amount WHEN part = 1 THEN round(orders.total_amount / 5, 2)
        ELSE orders.total_amount - round(orders.total_amount / 5, 2) END AS amount,
    (CASE WHEN split AND part = 1 THEN 'voucher' ELSE pg_temp.pick('payments.method', hash + part,
        ARRAY['credit_card','credit_card','credit_card','bank_slip','debit_card','instant_transfer','wallet']) END)::payment_method AS method,
    (CASE WHEN orders.status IN ('canceled', 'unavailable') THEN CASE WHEN orders.approved_at IS NULL THEN 'failed' ELSE 'refunded' END
        WHEN orders.approved_at IS NULL THEN 'authorized' ELSE 'captured' END)::payment_status AS state) AS of_payment
WHERE orders.total_amount > 0;

-- Late parcels get fewer stars. Nobody reviews what has not arrived.
INSERT INTO reviews (id, order_id, shop_id, product_id, customer_id, rating, title, body, reply, is_hidden, created_at, updated_at)
SELECT row_number() OVER (ORDER BY written, order_id, item_no), order_id, shop_id, product_id, customer_id, stars,
    CASE WHEN pg_temp.u('reviews.titled', nr) < 0.3
        THEN pg_temp.pick('reviews.title', nr, ARRAY['Recomendo','Great!','とても良い','बहुत अच्छा','Never again 😠','ok']) END,
    CASE WHEN pg_temp.u('reviews.told', nr) < 0.45
        THEN pg_temp.pick('reviews.body', nr, ARRAY['Chegou antes do prazo, ótimo vendedor!','Colour differs from the picture.',
            '包装很好，物流很快 👍','Box was dented', E'Works.\nWould buy again.','देर से आया']) END,
    CASE WHEN stars <= 2 AND pg_temp.u('reviews.answered', nr) < 0.5 THEN 'We are sorry; please write to us.' END,
    pg_temp.u('reviews.hidden', nr) < 0.01,
    written,
    pg_temp.later('reviews.updated', nr, written, 0.05)
FROM (
    SELECT DISTINCT ON (order_id, product_id, shop_id) order_id, item_no, shop_id, product_id, customer_id, nr, delivered_at,
        delivered_at > estimated_delivery_at AS late
    FROM order_items
    JOIN (SELECT id, created_at, customer_id, status, delivered_at, estimated_delivery_at FROM orders) AS orders
        ON orders.id = order_id AND orders.created_at = order_created_at
    CROSS JOIN LATERAL (SELECT hashtextextended(order_id::text, item_no) AS nr) AS numbered
    WHERE status = 'delivered' AND delivered_at <= pg_temp.clock() AND pg_temp.u('reviews.given', nr) < 0.6
    ORDER BY order_id, product_id, shop_id, item_no
) AS bought
CROSS JOIN LATERAL (SELECT 5 - least(4, floor(5 * power(pg_temp.u('reviews.stars', nr), CASE WHEN late THEN 0.7 ELSE 4 END))::integer) AS stars,
    delivered_at + pg_temp.u('reviews.delay', nr) * (least(pg_temp.clock(), delivered_at + interval '10 days') - delivered_at) AS written) AS of_review;
