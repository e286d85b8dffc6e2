-- carddb: rows. Parameters and pg_temp functions come from the runner (demo/generate.py, demo/helpers.sql).

CALL pg_temp.make_months('price_observations', '{table}_y{year}m{month}');

INSERT INTO users (id, email, username, display_name, password_hash, country, status, bio, preferences,
    last_login_at, last_login_ip, created_at, updated_at)
SELECT i,
    pg_temp.pick('users.mail', i, ARRAY['collector','cards','sammler','wax','topps.fan','José.cards']) || i || '@example.'
        || pg_temp.pick('users.tld', i, ARRAY['com','org','net']),
    pg_temp.pick('users.handle', i, ARRAY['Rookie','WaxPack','GemMint','Foil','Base','カード','PSA_']) || i,
    CASE WHEN pg_temp.u('users.named', i) < 0.85 THEN pg_temp.person_name('users', i, country) END,
    '$argon2id$v=19$m=65536,t=3,p=4$' || encode(decode(md5('salt' || i), 'hex'), 'base64')
        || '$' || encode(sha256(convert_to('password' || i, 'UTF8')), 'base64'),
    country,
    (CASE WHEN pg_temp.u('users.status', i) < 0.95 THEN 'active'
        WHEN pg_temp.u('users.status', i) < 0.97 THEN 'locked' ELSE 'closed' END)::account_status,
    CASE WHEN pg_temp.u('users.bio', i) < 0.3 THEN pg_temp.pick('users.bio.text', i, ARRAY[
        'Set builder since 1987 ⚾', 'Nur Fußball, bitte keine Anfragen', '宝可梦 1999 🔥🐉', 'PC: rookies & refractors',
        'Coleção do meu avô', E'Trades welcome!\nShipping from the EU only.']) END,
    jsonb_build_object('currency', pg_temp.pick('users.currency', i, ARRAY['USD','EUR','GBP','JPY']),
        'notify', pg_temp.u('users.notify', i) < 0.5),
    CASE WHEN pg_temp.u('users.seen', i) < 0.93 THEN pg_temp.since('users.login', i, created_at) END,
    CASE WHEN pg_temp.u('users.seen', i) < 0.93
        THEN ('203.0.' || pg_temp.between('users.ip', i, 0, 255) || '.' || (i % 254 + 1))::inet END,
    created_at,
    pg_temp.later('users.updated', i, created_at, 0.6)
FROM generate_series(1, pg_temp.n(5000)) AS i
CROSS JOIN LATERAL (SELECT pg_temp.moment('users.created', i) AS created_at,
    pg_temp.pick('users.country', i, ARRAY['US','US','US','DE','JP','BR','CN','GB','CA']) AS country) AS of_user;

-- Sixty cards to a set; sixty years, twelve publishers, then a second series of them.
INSERT INTO cards (id, year, set, number, name, attributes, created_at, updated_at)
SELECT i,
    2025 - nr % 60,
    (ARRAY['Topps','Bowman','Fleer','Donruss','Upper Deck','Score','Panini','Leaf','Pacific','O-Pee-Chee','Goudey','ポケモン'])
        [1 + nr / 60 % 12] || CASE WHEN nr >= 720 THEN ' Series ' || nr / 720 + 1 ELSE '' END,
    (i - 1) % 60 + 1 || CASE WHEN i % 41 = 0 THEN 'a' ELSE '' END,
    pg_temp.person_name('cards', i, pg_temp.pick('cards.country', i, ARRAY['US','US','BR','JP','DE'])),
    jsonb_strip_nulls(jsonb_build_object(
        'rookie', CASE WHEN pg_temp.u('cards.rookie', i) < 0.12 THEN true END,
        'rarity', pg_temp.pick('cards.rarity', i, ARRAY['common','common','common','uncommon','rare','short print']),
        'parallel', CASE WHEN pg_temp.u('cards.parallel', i) < 0.1
            THEN pg_temp.pick('cards.foil', i, ARRAY['refractor','gold','sepia']) END,
        'print_run', CASE WHEN pg_temp.u('cards.run', i) < 0.05 THEN pg_temp.between('cards.printed', i, 1, 500) END,
        'team', pg_temp.pick('cards.team', i, ARRAY['Yankees','Cubs','Santos FC','FC Köln','阪神タイガース']))),
    created_at,
    pg_temp.later('cards.updated', i, created_at, 0.15)
FROM generate_series(1, pg_temp.n(20000)) AS i
CROSS JOIN LATERAL (SELECT (i - 1) / 60 AS nr, pg_temp.moment('cards.created', i) AS created_at) AS of_card;

INSERT INTO collections (id, user_id, name, description, is_public, created_at, updated_at)
SELECT i, users.id,
    pg_temp.pick('collections.name', i, ARRAY['My PC','Rookies','Für den Tausch','Vintage','買いたい','Top 100']) || ' #' || i,
    CASE WHEN pg_temp.u('collections.about', i) < 0.4
        THEN pg_temp.pick('collections.text', i, ARRAY['Started in 1991','Grandpa''s shoe box 📦','nur Top-Zustand']) END,
    pg_temp.u('collections.public', i) < 0.35,
    born,
    pg_temp.later('collections.updated', i, born, 0.5)
FROM generate_series(1, pg_temp.n(8000)) AS i
JOIN users ON users.id = pg_temp.skewed('collections.user', i, pg_temp.n(5000))
CROSS JOIN LATERAL (SELECT pg_temp.since('collections.created', i, users.created_at) AS born) AS of_collection;

INSERT INTO collection_items (id, collection_id, card_id, condition, grade, grader, acquired_at, price_paid, currency,
    for_trade, notes, created_at, updated_at)
SELECT i, collections.id,
    pg_temp.skewed('items.card', i, pg_temp.n(20000)),
    pg_temp.pick('items.condition', i, ARRAY['mint','near_mint','near_mint','excellent','good','played','poor'])::card_condition,
    CASE WHEN graded THEN pg_temp.between('items.grade', i, 2, 20) / 2.0 END,
    CASE WHEN graded THEN pg_temp.pick('items.grader', i, ARRAY['PSA','BGS','SGC','CGC']) END,
    CASE WHEN pg_temp.u('items.remembered', i) < 0.9
        THEN (born - pg_temp.u('items.acquired', i) * interval '900 days')::date END,
    CASE WHEN priced THEN round((0.5 * power(20000, power(pg_temp.u('items.price', i), 2)))::numeric, 2) END,
    CASE WHEN priced THEN pg_temp.pick('items.currency', i, ARRAY['USD','USD','USD','EUR','GBP','JPY']) END,
    pg_temp.u('items.trade', i) < 0.1,
    CASE WHEN pg_temp.u('items.noted', i) < 0.08
        THEN pg_temp.pick('items.notes', i, ARRAY['corner ding','from a pack I opened 🎉','Signatur auf der Rückseite']) END,
    born,
    pg_temp.later('items.updated', i, born, 0.1)
FROM generate_series(1, pg_temp.n(80000)) AS i
JOIN collections ON collections.id = pg_temp.skewed('items.collection', i, pg_temp.n(8000))
CROSS JOIN LATERAL (SELECT pg_temp.since('items.created', i, collections.created_at) AS born,
    pg_temp.u('items.graded', i) < 0.2 AS graded, pg_temp.u('items.priced', i) < 0.8 AS priced) AS of_item;

-- A card has a price level; conditions and observations vary about it. Feeds deliver within the hour, one in fifty
-- up to twenty days late.
INSERT INTO price_observations (id, card_id, condition, price, source, listing_ref, observed_at, created_at)
SELECT i, card_id,
    pg_temp.pick('prices.condition', i, ARRAY['mint','near_mint','near_mint','excellent','good','played'])::card_condition,
    greatest(0.05, round((0.5 * power(20000, power(pg_temp.u('cards.level', card_id), 3))
        * (0.6 + 0.8 * pg_temp.u('prices.price', i)))::numeric, 2)),
    source,
    CASE WHEN source <> 'price_guide' THEN 'L-' || pg_temp.between('prices.ref', i, 100000000, 999999999) END,
    observed_at,
    least(pg_temp.clock(), observed_at + pg_temp.u('prices.delay', i)
        * CASE WHEN pg_temp.u('prices.late', i) < 0.02 THEN interval '20 days' ELSE interval '1 hour' END)
FROM generate_series(1, pg_temp.n(90000)) AS i
CROSS JOIN LATERAL (SELECT pg_temp.skewed('prices.card', i, pg_temp.n(20000)) AS card_id,
    pg_temp.pick('prices.source', i, ARRAY['auction','marketplace','marketplace','dealer','price_guide'])::price_source AS source,
    pg_temp.edge(i, pg_temp.moment('prices.at', i)) AS observed_at) AS of_price;
