-- What erasure took from below the source, and from where. It says how many rows, never whose. Never changed once done.
CREATE TABLE platform.erased (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch text NOT NULL CHECK (batch <> ''),      -- the pass: requests that were erased together, without an identifier
    system text NOT NULL,
    table_name text NOT NULL,
    month date CHECK (extract(day FROM month) = 1),  -- NULL: the table is not kept by month
    tier text NOT NULL CHECK (tier IN ('warm', 'cold', 'kept', 'left')),
    move bigint REFERENCES platform.tier_move,    -- kept, left: by which the rows went
    state text NOT NULL CHECK (state IN ('begun', 'done')),  -- done: what went was looked for, and is nowhere there
    rows bigint NOT NULL CHECK (rows >= 0),       -- that are gone
    changed bigint NOT NULL CHECK (changed >= 0), -- that stay, without what was the persons'
    gone_hash numeric(20) NOT NULL,               -- sum of hash_record_extended of both as they were, modulo 2^64
    made_hash numeric(20) NOT NULL,               -- the same of what became of those that stay
    columns integer NOT NULL,                     -- how many columns the hashes are of: the first ones of the raw table
    counts boolean NOT NULL,                      -- they were among what had left the source: the proof misses them there
    detail jsonb NOT NULL DEFAULT '{}',           -- objects removed and listed ...
    run_id text,
    by_role text NOT NULL DEFAULT session_user,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at timestamptz,
    CHECK ((state = 'done') = (done_at IS NOT NULL)),
    CHECK ((tier IN ('kept', 'left')) = (move IS NOT NULL)),
    CHECK (tier IN ('warm', 'cold') OR NOT counts)
);
CREATE INDEX erased_by_table ON platform.erased (system, table_name, month);
CREATE INDEX erased_by_batch ON platform.erased (batch);
COMMENT ON COLUMN platform.erased.batch IS 'Which pass: the requests that were erased together. No identifier of a person.';
COMMENT ON COLUMN platform.erased.tier IS
    'warm: in the warehouse. cold: in the lake. kept: what went into the lake and is kept. left: the same, at the source.';
COMMENT ON COLUMN platform.erased.rows IS 'How many are gone.';
COMMENT ON COLUMN platform.erased.changed IS 'How many stay, without what was the persons''.';
COMMENT ON COLUMN platform.erased.detail IS 'Where was looked for what went, and how much of it was left.';
COMMENT ON TABLE platform.erased IS 'Rows that erasure removed or changed below the source, by table, month and tier.';
CREATE TRIGGER done_for_good BEFORE UPDATE OR DELETE ON platform.erased
    FOR EACH ROW WHEN (OLD.state = 'done') EXECUTE FUNCTION platform.refuse_change();
CREATE TRIGGER only_added_to BEFORE TRUNCATE ON platform.erased
    FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();
