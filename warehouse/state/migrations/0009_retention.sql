-- Rows that reached the age at which nobody may have them any more, and months of the lake that are back for a while.

ALTER TABLE platform.tier_move DROP CONSTRAINT tier_move_state_check;
ALTER TABLE platform.tier_move ADD CONSTRAINT tier_move_state_check  -- expired: its rows reached their retention
    CHECK (state IN ('planned', 'detached', 'exported', 'verified', 'flipped', 'dropped', 'undone', 'expired'));

-- By what a month's files are told apart: a policy may change later, and whoever looks for one person's files must know.
ALTER TABLE platform.tier_move ADD COLUMN layout text;
COMMENT ON COLUMN platform.tier_move.layout IS 'warm: how the bucket of a row follows from its subject; NULL: not known.';

-- What retention took, and from where. Never changed once it is done.
CREATE TABLE platform.expiry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system text NOT NULL,
    table_name text NOT NULL,
    month date CHECK (extract(day FROM month) = 1),  -- NULL: the table is not kept by month
    tier text NOT NULL CHECK (tier IN ('hot', 'warm', 'cold')),
    before timestamptz NOT NULL,                  -- rows of an earlier time went
    reason text NOT NULL,
    state text NOT NULL CHECK (state IN ('begun', 'done')),  -- done: what went was looked for, and is nowhere there
    rows bigint NOT NULL DEFAULT 0,               -- that went
    hash numeric(20) NOT NULL DEFAULT 0,          -- warm, cold: sum of their hash_record_extended modulo 2^64
    counts boolean NOT NULL DEFAULT false,        -- they were among what had left the source: the proof misses them there
    held bigint NOT NULL DEFAULT 0,               -- of that age that stayed, for a legal hold
    detail jsonb NOT NULL DEFAULT '{}',           -- objects removed and listed, by which statement ...
    run_id text,
    by_role text NOT NULL DEFAULT session_user,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at timestamptz,
    CHECK ((state = 'done') = (done_at IS NOT NULL))
);
CREATE INDEX expiry_by_table ON platform.expiry (system, table_name, month);
COMMENT ON COLUMN platform.expiry.tier IS 'hot: at the source. warm: in the warehouse. cold: in the lake.';
COMMENT ON COLUMN platform.expiry.before IS 'Rows of an earlier time went.';
COMMENT ON COLUMN platform.expiry.rows IS 'How many went.';
COMMENT ON COLUMN platform.expiry.held IS 'How many of that age stayed, for a legal hold.';
COMMENT ON COLUMN platform.expiry.hash IS 'warm, cold: sum of hash_record_extended of the rows, modulo 2^64.';
COMMENT ON COLUMN platform.expiry.detail IS 'Where was looked for what went, and how much of it was left.';
COMMENT ON TABLE platform.expiry IS 'Rows that retention removed, by table, month and tier, with what proves it.';
CREATE TRIGGER done_for_good BEFORE UPDATE OR DELETE ON platform.expiry
    FOR EACH ROW WHEN (OLD.state = 'done') EXECUTE FUNCTION platform.refuse_change();
CREATE TRIGGER only_added_to BEFORE TRUNCATE ON platform.expiry
    FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();

-- Months of the lake that somebody asked back into the warehouse: they go cold again after a while.
CREATE TABLE platform.rehydration (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system text NOT NULL,
    table_name text NOT NULL,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    reason text NOT NULL CHECK (reason <> ''),
    until timestamptz NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,                        -- in the warehouse, with its index
    by_role text NOT NULL DEFAULT session_user,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX rehydration_once ON platform.rehydration (system, table_name, month) WHERE ended_at IS NULL;
COMMENT ON TABLE platform.rehydration IS 'Months of the lake that are back in the warehouse, and until when.';

-- Months of which the warehouse lacks rows of some of these raw tables (raw_<system>.<table>): they are in the lake, or have
-- expired. What a model has of such a month cannot be made anew from the warehouse.
CREATE OR REPLACE FUNCTION platform.cold_months(of_raw text[]) RETURNS SETOF date
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT to_date(c.chunk, 'YYYY-MM') FROM platform.raw_content AS c
     WHERE c.tier = 'lake' AND 'raw_' || c.system || '.' || c.table_name = ANY (of_raw)
     UNION
    SELECT e.month FROM platform.expiry AS e
     WHERE e.month IS NOT NULL AND e.tier <> 'hot' AND 'raw_' || e.system || '.' || e.table_name = ANY (of_raw);
END;

-- The moment before which rows of a raw table (raw_<system>.<table>) have expired; -infinity if none have.
CREATE FUNCTION platform.expired_before(of_raw text) RETURNS timestamptz
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(max(e.before), '-infinity') FROM platform.expiry AS e
     WHERE 'raw_' || e.system || '.' || e.table_name = of_raw;
END;
