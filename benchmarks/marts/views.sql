-- The same marts as plain materialised views: each table summed before it is joined, over all history.
CREATE SCHEMA plain;

CREATE MATERIALIZED VIEW plain.rider_leaderboard AS
WITH orders AS (
    SELECT rider_id, count(*) FILTER (WHERE status = 'delivered') AS completed_orders
      FROM raw_logistics.orders WHERE rider_id IS NOT NULL GROUP BY rider_id
), earnings AS (
    SELECT rider_id, sum(amount) AS total_earnings,
           coalesce(sum(amount) FILTER (WHERE created_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'), 0) AS today
      FROM raw_logistics.wallet_ledger WHERE entry_type = 'earning' GROUP BY rider_id
), ratings AS (
    SELECT rider_id, avg(rating) FILTER (WHERE rating BETWEEN 1 AND 5) AS avg_rating,
           count(*) FILTER (WHERE rating NOT BETWEEN 1 AND 5) AS ratings_left_out
      FROM raw_logistics.ratings GROUP BY rider_id
), figures AS (
    SELECT r.id AS rider_id, r.name, r.city, coalesce(e.total_earnings, 0) AS total_earnings, coalesce(e.today, 0) AS today,
           coalesce(o.completed_orders, 0) AS completed_orders, round(coalesce(s.avg_rating, 0), 2) AS avg_rating,
           coalesce(s.ratings_left_out, 0) AS ratings_left_out
      FROM raw_logistics.riders AS r
      LEFT JOIN orders AS o ON o.rider_id = r.id LEFT JOIN earnings AS e ON e.rider_id = r.id
      LEFT JOIN ratings AS s ON s.rider_id = r.id
     WHERE r.status = 'active'
)
SELECT rider_id, name, city, total_earnings, completed_orders, avg_rating, ratings_left_out,
       rank() OVER (ORDER BY total_earnings DESC) AS earnings_rank,
       rank() OVER (PARTITION BY city ORDER BY total_earnings DESC) AS city_rank,
       rank() OVER (ORDER BY total_earnings - today DESC) - rank() OVER (ORDER BY total_earnings DESC) AS rank_movement,
       rank() OVER (PARTITION BY city ORDER BY total_earnings - today DESC)
       - rank() OVER (PARTITION BY city ORDER BY total_earnings DESC) AS city_rank_movement
  FROM figures;
CREATE UNIQUE INDEX ON plain.rider_leaderboard (rider_id);

CREATE MATERIALIZED VIEW plain.shop_analytics AS
WITH parts AS (
    SELECT shop_id, order_id, order_created_at, sum(quantity * unit_price + freight) AS part_value
      FROM raw_shop.order_items GROUP BY shop_id, order_id, order_created_at
), delivered AS (
    SELECT p.shop_id, p.order_id, p.part_value, extract(epoch FROM o.delivered_at - o.created_at) AS fulfillment_s
      FROM parts AS p JOIN raw_shop.orders AS o ON o.id = p.order_id AND o.created_at = p.order_created_at
     WHERE o.status = 'delivered'
), sold AS (
    SELECT shop_id, count(*) AS total_orders, round(avg(part_value), 2) AS avg_order_value,
           round(avg(fulfillment_s), 2) AS avg_fulfillment_time
      FROM delivered GROUP BY shop_id
), ratings AS (
    SELECT v.shop_id, avg(v.rating) AS avg_rating
      FROM raw_shop.reviews AS v JOIN delivered AS d ON d.order_id = v.order_id AND d.shop_id = v.shop_id GROUP BY v.shop_id
)
SELECT s.id AS shop_id, s.name, coalesce(f.total_orders, 0) AS total_orders, f.avg_order_value, f.avg_fulfillment_time,
       round(coalesce(r.avg_rating, 0), 2) AS avg_rating
  FROM raw_shop.shops AS s LEFT JOIN sold AS f ON f.shop_id = s.id LEFT JOIN ratings AS r ON r.shop_id = s.id;
CREATE UNIQUE INDEX ON plain.shop_analytics (shop_id);
