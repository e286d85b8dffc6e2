-- carddb: one round of use: new and late rows, updates and deletes. Parameters and pg_temp functions come from the runner;
-- salts carry the round, so that each round does something else.

INSERT INTO users (email, username, display_name, password_hash, country, created_at, updated_at)
SELECT 'newcomer' || pg_temp.round() || '.' || i || '@example.com', 'Newcomer' || pg_temp.round() || '_' || i,
    pg_temp.person_name('users.round' || pg_temp.round(), i, 'BR'), '$argon2id$v=19$m=65536,t=3,p=4$bmV3$bmV3', 'BR',
    pg_temp.clock(), pg_temp.clock()
FROM generate_series(1, 3) AS i;

INSERT INTO collections (user_id, name, is_public, created_at, updated_at)
SELECT id, 'First box 📦', true, pg_temp.clock(), pg_temp.clock() FROM users WHERE created_at = pg_temp.clock() ORDER BY id;

-- Prices of the last minutes, and some of the last quarter that a feed delivers late.
INSERT INTO price_observations (card_id, condition, price, source, listing_ref, observed_at, created_at)
SELECT cards.id, 'near_mint', round((1 + 50 * pg_temp.u('prices.price' || pg_temp.round(), i))::numeric, 2), 'auction', 'R' || pg_temp.round() || '-' || i,
    pg_temp.clock() - CASE WHEN i % 4 = 0 THEN interval '35 days' + pg_temp.u('prices.late' || pg_temp.round(), i) * interval '63 days'
        ELSE pg_temp.u('prices.ago' || pg_temp.round(), i) * interval '9 minutes' END,
    pg_temp.clock()
FROM generate_series(1, pg_temp.n(100)) AS i
JOIN cards ON cards.id = pg_temp.skewed('prices.card' || pg_temp.round(), i, (SELECT max(id) FROM cards))
ORDER BY i;

DELETE FROM collection_items
WHERE id IN (SELECT id FROM collection_items ORDER BY hashint8extended(id, pg_temp.round()) LIMIT pg_temp.n(60));

INSERT INTO collection_items (collection_id, card_id, condition, acquired_at, price_paid, currency, created_at, updated_at)
SELECT collections.id, pg_temp.skewed('items.card' || pg_temp.round(), i, pg_temp.n(20000)), 'excellent', pg_temp.clock()::date,
    round((5 * pg_temp.u('items.price' || pg_temp.round(), i))::numeric, 2), 'USD', pg_temp.clock(), pg_temp.clock()
FROM generate_series(1, pg_temp.n(60)) AS i
JOIN collections ON collections.id = pg_temp.skewed('items.collection' || pg_temp.round(), i, (SELECT max(id) FROM collections))
ORDER BY i;

UPDATE collection_items SET for_trade = NOT for_trade, notes = 'price on request', updated_at = pg_temp.clock()
WHERE id IN (SELECT id FROM collection_items ORDER BY hashint8extended(id, -pg_temp.round()) LIMIT pg_temp.n(60));

UPDATE collections SET name = name || ' ✓', updated_at = pg_temp.clock()
WHERE id IN (SELECT id FROM collections ORDER BY hashint8extended(id, -pg_temp.round()) LIMIT pg_temp.n(10));
-- Its items go with it.
DELETE FROM collections
WHERE id IN (SELECT id FROM collections ORDER BY hashint8extended(id, pg_temp.round()) LIMIT pg_temp.n(2));

UPDATE users SET last_login_at = pg_temp.clock(), bio = coalesce(bio, '') || ' …', updated_at = pg_temp.clock()
WHERE id IN (SELECT id FROM users ORDER BY hashint8extended(id, pg_temp.round()) LIMIT pg_temp.n(50));

UPDATE cards SET attributes = attributes || jsonb_build_object('corrected', pg_temp.round()), updated_at = pg_temp.clock()
WHERE id IN (SELECT id FROM cards ORDER BY hashint8extended(id, pg_temp.round()) LIMIT pg_temp.n(10));
