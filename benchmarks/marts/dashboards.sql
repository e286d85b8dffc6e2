\set number random(0, :shops - 1)
SELECT * FROM masked.shop_analytics WHERE shop_id = md5('shop ' || :number)::uuid;
SELECT day, orders, revenue, avg_order_value, avg_fulfillment_time, avg_rating FROM masked.shop_analytics_daily
 WHERE shop_id = md5('shop ' || :number)::uuid AND day >= current_date - 120 ORDER BY day;
