-- Functions that the applications' data.sql and changes.sql share; created in pg_temp at the start of every run.
--
-- What belongs here: deterministic pseudo-random values, sizes, times and monthly partitions. What does not: anything
-- that is one application's own.
--
-- Parameters are session settings (demo.seed, demo.scale, demo.today, demo.round, demo.real). They are baked into the
-- functions as literals, so that the planner can inline and fold them: a value costs one hash of a bigint.

DO $make$
DECLARE
    seed  bigint := current_setting('demo.seed');
    scale double precision := current_setting('demo.scale');
    today date := current_setting('demo.today');
    round integer := current_setting('demo.round');
    -- History ends where today begins; a round of changes happens ten minutes after the one before.
    clock timestamptz := today::timestamp AT TIME ZONE 'UTC' + round * interval '10 minutes';
    start timestamptz := (today - interval '30 months') AT TIME ZONE 'UTC';
BEGIN
    -- Uniform in [0, 1). One column, one salt: equal salts give equal values for equal ids.
    EXECUTE format($f$
        CREATE FUNCTION pg_temp.u(salt text, id bigint) RETURNS double precision
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
        $$ SELECT ((hashint8extended(id, hashtextextended(salt, %s)) >> 11) & 9007199254740991)::double precision
                  / 9007199254740992 $$
    $f$, seed);

    EXECUTE format($f$
        CREATE FUNCTION pg_temp.uuid(salt text, id bigint) RETURNS uuid
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
        $$ SELECT md5(salt || ':%s:' || id)::uuid $$
    $f$, seed);

    -- How many rows a table of `base` rows has at this scale; small tables keep at least a dozen.
    EXECUTE format($f$
        CREATE FUNCTION pg_temp.n(base integer) RETURNS bigint
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
        $$ SELECT greatest(least(base, 12), round(base * %L::double precision))::bigint $$
    $f$, scale);

    -- The generator's present: every time that it writes is at or before this one, unless a plan for the future.
    EXECUTE format($f$
        CREATE FUNCTION pg_temp.clock() RETURNS timestamptz
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT %L::timestamptz $$
    $f$, clock);

    -- A moment of the 30 months before the clock, the more likely the more recent.
    EXECUTE format($f$
        CREATE FUNCTION pg_temp.moment(salt text, id bigint) RETURNS timestamptz
        LANGUAGE sql STABLE PARALLEL SAFE AS
        $$ SELECT %L::timestamptz - power(pg_temp.u(salt, id), 1.4) * %L::interval $$
    $f$, clock, make_interval(secs => extract(epoch FROM clock - start)));

    EXECUTE format($f$
        CREATE FUNCTION pg_temp.round() RETURNS integer
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT %s $$
    $f$, round);
END
$make$;

-- A moment between another one and the clock, the more likely the more recent.
CREATE FUNCTION pg_temp.since(salt text, id bigint, earliest timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT pg_temp.clock() - power(pg_temp.u(salt, id), 1.4) * (pg_temp.clock() - earliest) $$;

-- When a row last changed: for this share of the rows some time after `at`, for the others then.
CREATE FUNCTION pg_temp.later(salt text, id bigint, at timestamptz, share double precision) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN pg_temp.u(salt, id) < share
    THEN at + pg_temp.u(salt || '.when', id) * (pg_temp.clock() - at) ELSE at END $$;

-- The same moment, but of every 997 rows one is moved to the first and one to just before the first instant of its
-- month: where an off-by-one at a partition's bound would show.
CREATE FUNCTION pg_temp.edge(id bigint, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE id % 997
    WHEN 1 THEN date_trunc('month', at, 'UTC')
    WHEN 2 THEN greatest(date_trunc('month', at, 'UTC') - interval '1 microsecond',
        date_trunc('month', pg_temp.clock(), 'UTC') - interval '30 months')
    ELSE at END $$;

CREATE FUNCTION pg_temp.pick(salt text, id bigint, choices text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT choices[1 + floor(pg_temp.u(salt, id) * cardinality(choices))::integer] $$;

-- An integer from low to high, both included.
CREATE FUNCTION pg_temp.between(salt text, id bigint, low bigint, high bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT low + floor(pg_temp.u(salt, id) * (high - low + 1))::bigint $$;

-- 1 .. n by a power law: the share of the first k is (k / n) ** (1/3), so 1 % of the riders make 21 % of the trips.
CREATE FUNCTION pg_temp.skewed(salt text, id bigint, n bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT 1 + floor(power(pg_temp.u(salt, id), 3) * n)::bigint $$;

-- A person's full name as it is written in the country (IN, BR, CN, DE, JP, else US).
CREATE FUNCTION pg_temp.person_name(salt text, id bigint, country text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE country
    WHEN 'IN' THEN pg_temp.pick(salt || '.given', id, ARRAY['Aarav','Vivaan','Aditya','Arjun','Rohan','Karthik','Imran',
            'Priya','Ananya','Diya','Lakshmi','Meera','Fatima','Gurpreet','अमित','సురేష్','முருகன்','Søren-Ravi'])
        || ' ' || pg_temp.pick(salt || '.family', id, ARRAY['Sharma','Patel','Reddy','Nair','Iyer','Singh','Khan','Das',
            'Gupta','Joshi','Naidu','Fernandes','Mukherjee','Chauhan','Pillai','D''Souza','यादव'])
    WHEN 'BR' THEN pg_temp.pick(salt || '.given', id, ARRAY['João','Maria','José','Ana','Antônio','Francisca','Luís',
            'Beatriz','Paulo','Letícia','Caio','Conceição','Thiago','Yasmin','Íris','Zoé'])
        || ' ' || pg_temp.pick(salt || '.family', id, ARRAY['da Silva','dos Santos','Oliveira','Souza','Gonçalves',
            'Araújo','Ribeiro','Carvalho','Nakamura','Conceição','Assunção','de Sá','Müller','Brandão'])
    WHEN 'CN' THEN pg_temp.pick(salt || '.family', id, ARRAY['王','李','张','刘','陈','杨','赵','黄','周','吴','欧阳','司马'])
        || pg_temp.pick(salt || '.given', id, ARRAY['伟','芳','娜','秀英','敏','静','强','磊','洋','艳','勇','子涵','𠮷'])
    WHEN 'JP' THEN pg_temp.pick(salt || '.family', id, ARRAY['佐藤','鈴木','高橋','田中','伊藤','渡辺','山本','中村','小林'])
        || ' ' || pg_temp.pick(salt || '.given', id, ARRAY['陽葵','蓮','結衣','翔太','美咲','大翔','さくら','健','愛'])
    WHEN 'DE' THEN pg_temp.pick(salt || '.given', id, ARRAY['Jürgen','Anna','Björn','Käthe','Lukas','Zoë','Heiß','Mia',
            'Günther','Sofía','Łukasz','Aylin'])
        || ' ' || pg_temp.pick(salt || '.family', id, ARRAY['Müller','Schmidt','Groß','Weiß','Krüger','Yıldız','von der Heyde',
            'Schäfer','Nowak','Öztürk'])
    ELSE pg_temp.pick(salt || '.given', id, ARRAY['James','Mary','Sean','Linda','Chloé','Miguel','Keisha','Noah','Ava',
            'Ethan','Sofia','Liam'])
        || ' ' || pg_temp.pick(salt || '.family', id, ARRAY['Smith','Johnson','O''Connor','García','Nguyen','Williams',
            'Brown','Lee','Jones-Baker','Davis','Núñez'])
    END $$;

-- Monthly partitions of a table from 30 months back to 3 ahead, bounds in UTC. Pattern: {table}, {year}, {month}.
CREATE PROCEDURE pg_temp.make_months(parent text, pattern text) LANGUAGE plpgsql AS $$
DECLARE
    month date;
    today date := current_setting('demo.today');
BEGIN
    FOR step IN -30 .. 3 LOOP
        month := date_trunc('month', today) + make_interval(months => step);
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
            replace(replace(replace(pattern, '{table}', parent), '{year}', to_char(month, 'YYYY')),
                '{month}', to_char(month, 'MM')),
            parent,
            to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
            to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00'
        );
    END LOOP;
END
$$;

-- --- histories whose ids follow time ---
-- Row i of n stands at part(salt, i, n) of the history, 0 to 1, jittered within its own n-th; along() is that moment,
-- denser towards the present; known() tells how many of n users have joined by then, if user i joins at
-- along((i - 2) / n). Two are there from the start, so that there is always somebody else.

CREATE FUNCTION pg_temp.part(salt text, id bigint, n bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (id - pg_temp.u(salt || '.part', id)) / n $$;

DO $make$
BEGIN
    EXECUTE format($f$
        CREATE FUNCTION pg_temp.along(part double precision) RETURNS timestamptz
        LANGUAGE sql STABLE PARALLEL SAFE AS
        $$ SELECT %L::timestamptz + power(part, 0.65) * %L::interval $$
    $f$, (current_setting('demo.today')::date - interval '30 months') AT TIME ZONE 'UTC',
        make_interval(secs => extract(epoch FROM pg_temp.clock()
            - (current_setting('demo.today')::date - interval '30 months') AT TIME ZONE 'UTC')));
END
$make$;

CREATE FUNCTION pg_temp.known(part double precision, n bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT least(n, 2 + floor(n * part)::bigint) $$;

-- A network address that stays with an id: carrier-grade IPv4, for one in five IPv6 of the documentation range.
CREATE FUNCTION pg_temp.address(id bigint) RETURNS inet
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN id % 5 = 0 THEN inet '2001:db8::' + id * 65537 ELSE inet '100.64.0.0' + id * 40503 % 4194304 END $$;
