-- logistics: riders, orders and ratings from the temporary table `deliveries` (see real.py and docs/real-data.md).

-- A courier's age and vehicle are those of the latest delivery that tells them.
INSERT INTO roster (id, external_id, city, age, vehicle_type, applied)
SELECT row_number() OVER (ORDER BY courier), courier, min(city),
    (array_agg(age ORDER BY ordered_at DESC, line DESC) FILTER (WHERE age IS NOT NULL))[1],
    (array_agg(vehicle ORDER BY ordered_at DESC, line DESC))[1],
    false
FROM deliveries GROUP BY courier;

CALL pg_temp.enlist_riders();

-- The file has no hand-over: eight minutes and the way at 20 km/h after the pick-up. The way is the great circle and
-- three tenths; some coordinates were recorded with the wrong sign, so it is reckoned from their absolute values.
INSERT INTO orders (id, rider_id, status, external_ref, order_type, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon,
    distance_m, delivery_fee, rider_age, metadata, created_at, picked_at, delivered_at, updated_at)
SELECT row_number() OVER (ORDER BY ordered_at, line), roster.id, 'delivered', ref, order_type, pickup_lat, pickup_lon,
    dropoff_lat, dropoff_lon, distance, round((20 + distance * 0.006 + 15 * pg_temp.u('orders.surge', line))::numeric, 2),
    deliveries.age, metadata, ordered_at, picked_at, handed_over, handed_over
FROM deliveries
JOIN roster ON roster.external_id = courier
CROSS JOIN LATERAL (SELECT round(1.3 * 2 * 6371008.8 * asin(sqrt(
    power(sind((abs(dropoff_lat) - abs(pickup_lat)) / 2), 2)
    + cosd(pickup_lat) * cosd(dropoff_lat) * power(sind((abs(dropoff_lon) - abs(pickup_lon)) / 2), 2))))::integer AS distance) AS way
CROSS JOIN LATERAL (SELECT picked_at + (8 + distance / 333.0) * interval '1 minute' AS handed_over) AS trip;

INSERT INTO ratings (id, order_id, rider_id, rating, created_at, updated_at)
SELECT row_number() OVER (ORDER BY orders.id), orders.id, rider_id, rating, rated, rated
FROM deliveries
JOIN orders ON external_ref = ref
CROSS JOIN LATERAL (SELECT delivered_at + pg_temp.u('ratings.delay', orders.id) * interval '2 hours' AS rated) AS given
WHERE rating IS NOT NULL;

ANALYZE riders, orders;
