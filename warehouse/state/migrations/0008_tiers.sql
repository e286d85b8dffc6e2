-- Where the rows of each month are once it leaves the source or the warehouse, and how they came there.
-- A move is one month (or rows of it that came later) on its way one tier down:
--   planned   noted; nothing was touched
--   detached  hot: the source's partition stands alone and takes no more writes, a new one takes late rows
--   exported  warm: its files are written and committed to the lake's table
--   verified  what arrived was read anew and equals what left
--   flipped   readers take it from the lower tier; what it was is kept for a while
--   dropped   what it was is gone, after the same proof in the same transaction
--   undone    it was given up before it was flipped, or the month came back and begins anew
CREATE TABLE platform.tier_move (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system text NOT NULL,
    table_name text NOT NULL,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    from_tier text NOT NULL CHECK (from_tier IN ('hot', 'warm')),
    part integer NOT NULL CHECK (part >= 0),      -- 0: the month; 1 and on: rows of it that came after it had left
    state text NOT NULL
        CHECK (state IN ('planned', 'detached', 'exported', 'verified', 'flipped', 'dropped', 'undone')),
    reason text NOT NULL,                         -- why it moves
    relation text,                                -- where the rows are kept until they are dropped, quoted: schema.name
    kept_rows bigint,                             -- what is kept there: number of rows ...
    kept_hash numeric(20),                        -- ... and the sum of hash_record_extended of each, modulo 2^64
    rows bigint,                                  -- what the lower tier has by it: the same, but where late rows
    hash numeric(20),                             -- corrected some that were there; then the difference, modulo 2^64
    export text UNIQUE,                           -- hot: NULL; warm: the transaction of the lake's table
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    keep_until timestamptz,                       -- flipped: not dropped before
    CHECK (state IN ('planned', 'undone') OR relation IS NOT NULL),
    CHECK (state NOT IN ('verified', 'flipped', 'dropped') OR (rows IS NOT NULL AND hash IS NOT NULL))
);
CREATE UNIQUE INDEX tier_move_once ON platform.tier_move (system, table_name, month, from_tier, part)
    WHERE state <> 'undone';
COMMENT ON TABLE platform.tier_move IS 'Every month that moves down a tier, and how far it has come.';

-- Files of the lake's tables that moves wrote. What is not listed here is no row of anybody's.
CREATE TABLE platform.lake_file (
    move bigint NOT NULL REFERENCES platform.tier_move,
    path text NOT NULL,                           -- from the root of the lake's table
    bucket integer NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (move, path)
);
COMMENT ON TABLE platform.lake_file IS 'Files of the lake, with what they must be.';

-- What happened to each move. Nothing here is ever changed.
CREATE TABLE platform.tier_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    move bigint NOT NULL REFERENCES platform.tier_move,
    state text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    run_id text,                                  -- Dagster run, if one did it
    by_role text NOT NULL DEFAULT session_user,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX tier_event_by_move ON platform.tier_event (move, id);
COMMENT ON TABLE platform.tier_event IS 'Each transition of a move; commits with it.';

CREATE FUNCTION platform.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is only ever added to', TG_TABLE_SCHEMA, TG_TABLE_NAME;
END
$$;
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON platform.tier_event
    FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();

-- Legal holds: what must not be deleted whatever its age. What is NULL holds for all.
CREATE TABLE platform.legal_hold (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system text,
    table_name text,
    subject text,                                 -- key of the person, as text
    reason text NOT NULL CHECK (reason <> ''),
    placed_by text NOT NULL DEFAULT session_user,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_by text,
    released_at timestamptz,
    CHECK ((released_by IS NULL) = (released_at IS NULL)),
    CHECK (table_name IS NULL OR system IS NOT NULL)
);
COMMENT ON TABLE platform.legal_hold IS 'What must be kept for a court or an authority.';

-- First day of a moment's month in UTC.
CREATE FUNCTION platform.month_of(moment timestamptz) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_trunc('month', moment AT TIME ZONE 'UTC')::date;
CREATE FUNCTION platform.month_of(moment timestamp) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_trunc('month', moment)::date;
CREATE FUNCTION platform.month_of(day date) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_trunc('month', day::timestamp)::date;

-- Months of which the warehouse lacks rows of some of these raw tables (raw_<system>.<table>): they are in the lake. What a
-- model has of such a month cannot be made anew from the warehouse.
CREATE FUNCTION platform.cold_months(of_raw text[]) RETURNS SETOF date
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT to_date(c.chunk, 'YYYY-MM') FROM platform.raw_content AS c
     WHERE c.tier = 'lake' AND 'raw_' || c.system || '.' || c.table_name = ANY (of_raw);
END;
