-- Change feeds: <schema>.<table>__changes holds a relation's rows as they went (sign -1) and came (sign +1).
CREATE TABLE platform.change_feed (
    relation text PRIMARY KEY,            -- whose changes, as schema.name
    columns text[] NOT NULL               -- what the feed carries of a row
);
COMMENT ON TABLE platform.change_feed IS 'Relations whose changes can be followed. A feed is kept once somebody reads it.';

-- A reader is a model that is refreshed by what changed. Its position and its rows commit together.
CREATE TABLE platform.change_reader (
    reader text NOT NULL,                 -- the model, as schema.name
    relation text NOT NULL REFERENCES platform.change_feed ON DELETE CASCADE,
    position bigint,                      -- last change that the model contains; NULL: it must read the relation whole
    upto bigint,                          -- last change that the refresh now running reads
    read_at timestamptz,                  -- when the position last moved
    PRIMARY KEY (reader, relation)
);
CREATE INDEX change_reader_by_relation ON platform.change_reader (relation);
COMMENT ON TABLE platform.change_reader IS 'How far each model has read each change feed; commits with the model.';

-- Writers of a relation hold this lock while they change it, and a new reader while it reads the relation whole: so no
-- change falls between the rows that a reader has seen and the feed that is kept for it from then on.
CREATE FUNCTION platform.feed_lock(of_relation text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN hashtextextended('ingest ' || of_relation, 0);

-- The relation was replaced by something that its feed does not tell: every reader must read it whole.
CREATE FUNCTION platform.reset_readers(of_relation text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    UPDATE platform.change_reader SET position = NULL WHERE relation = of_relation;
END;

-- Say what a relation's feed carries. When that changed, the feed begins anew, and so do its readers.
CREATE FUNCTION platform.declare_feed(of_relation text, of_columns text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text[] := parse_ident(of_relation, true);
BEGIN
    INSERT INTO platform.change_feed AS f (relation, columns) VALUES (of_relation, of_columns)
        ON CONFLICT (relation) DO UPDATE SET columns = excluded.columns WHERE f.columns <> excluded.columns;
    IF FOUND THEN
        EXECUTE format('DROP TABLE IF EXISTS %I.%I', name[1], name[2] || '__changes');
        PERFORM platform.reset_readers(of_relation);
    END IF;
END
$$;

-- Begin a refresh of a model: fixes which changes it will read. Called in the transaction that refreshes the model.
-- by_change: whether the model is about to read changes, as it could when its SQL was compiled.
CREATE FUNCTION platform.open_changes(of_reader text, of_relation text, by_change boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text[] := parse_ident(of_relation, true);
    feed text := name[2] || '__changes';
    last_change bigint;
BEGIN
    INSERT INTO platform.change_reader (reader, relation) VALUES (of_reader, of_relation) ON CONFLICT DO NOTHING;
    IF EXISTS (SELECT FROM platform.change_reader
                WHERE reader = of_reader AND relation = of_relation AND position IS NULL) THEN
        PERFORM pg_advisory_xact_lock(platform.feed_lock(of_relation));
    END IF;
    IF to_regclass(format('%I.%I', name[1], feed)) IS NULL THEN
        PERFORM platform.reset_readers(of_relation);
        EXECUTE (
            SELECT format('CREATE TABLE %1$I.%2$I AS SELECT NULL::bigint AS change, NULL::smallint AS sign, %3$s'
                          ' FROM %1$I.%4$I WITH NO DATA',
                          name[1], feed, string_agg(quote_ident(c), ', '), name[2])
              FROM platform.change_feed, unnest(columns) AS c WHERE relation = of_relation
        );
        EXECUTE format('ALTER TABLE %I.%I ALTER change SET NOT NULL', name[1], feed);
        EXECUTE format('ALTER TABLE %I.%I ALTER change ADD GENERATED ALWAYS AS IDENTITY, ADD PRIMARY KEY (change)',
                       name[1], feed);
    END IF;
    EXECUTE format('SELECT coalesce(max(change), 0) FROM %I.%I', name[1], feed) INTO last_change;
    -- Changes that everybody has read are dropped: an empty feed does not mean a position of 0.
    UPDATE platform.change_reader SET upto = greatest(last_change, position)
     WHERE reader = of_reader AND relation = of_relation;
    IF by_change AND EXISTS (SELECT FROM platform.change_reader
                              WHERE reader = of_reader AND relation = of_relation AND position IS NULL) THEN
        RAISE EXCEPTION 'the changes of % began anew while % was about to read them', of_relation, of_reader
            USING HINT = 'Nothing was changed. Run again: the model then reads the relation whole.';
    END IF;
END
$$;

-- End it: the changes that were read are in the model when this commits.
CREATE FUNCTION platform.close_changes(of_reader text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    UPDATE platform.change_reader SET position = upto, upto = NULL, read_at = clock_timestamp()
     WHERE reader = of_reader;
END;

-- Where rows are: 'warehouse' until a month moves down a tier.
ALTER TABLE platform.raw_content ADD COLUMN tier text NOT NULL DEFAULT 'warehouse';
COMMENT ON COLUMN platform.raw_content.tier IS 'Which tier holds the rows.';

-- What each model that holds rows was made of, as of its last refresh; commits with the rows.
CREATE TABLE platform.published (
    model text PRIMARY KEY,               -- schema.name
    published_at timestamptz NOT NULL,    -- when it was last refreshed
    as_of timestamptz,                    -- moment of the sources up to which it tells everything; NULL: not known
    verified_through timestamptz,         -- moment at which all its raw rows of all months equalled the sources
    tiers text[] NOT NULL,                -- where the raw rows behind it are
    contract text NOT NULL                -- digest of its columns and constraints
);
COMMENT ON TABLE platform.published IS 'As of when each model is, and from where; commits with its rows.';

-- Note a refresh. Called before the model reads anything, so that what it claims is never more than it holds.
CREATE FUNCTION platform.publish(of_model text, of_models text[], of_raw text[], of_contract text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO platform.published AS p (model, published_at, as_of, verified_through, tiers, contract)
    WITH raw AS (
        SELECT name, max(c.agreed_as_of) AS as_of,
               CASE WHEN bool_and(c.agrees IS NOT FALSE) THEN min(c.agreed_as_of) END AS verified_through,
               array_agg(DISTINCT c.tier) FILTER (WHERE c.tier IS NOT NULL) AS tiers
          FROM unnest(of_raw) AS name
          LEFT JOIN platform.raw_content AS c ON format('raw_%s.%s', c.system, c.table_name) = name
         GROUP BY name
        UNION ALL
        SELECT name, q.as_of, q.verified_through, q.tiers
          FROM unnest(of_models) AS name LEFT JOIN platform.published AS q ON q.model = name
    )
    SELECT of_model, clock_timestamp(),
           CASE WHEN bool_and(as_of IS NOT NULL) THEN min(as_of) END,
           CASE WHEN bool_and(verified_through IS NOT NULL) THEN min(verified_through) END,
           coalesce((SELECT array_agg(DISTINCT tier ORDER BY tier) FROM raw AS r, unnest(r.tiers) AS tier), '{}'),
           of_contract
      FROM raw
    ON CONFLICT (model) DO UPDATE SET published_at = excluded.published_at, as_of = excluded.as_of,
        verified_through = excluded.verified_through, tiers = excluded.tiers, contract = excluded.contract;
END;
