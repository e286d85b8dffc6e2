-- The platform's own schema. What comes later adds migrations of its own; an applied file is never edited.
CREATE TABLE platform.watermark (
    system text NOT NULL,
    table_name text NOT NULL,
    cursor_column text NOT NULL,
    high_water text,                      -- highest cursor value seen, as text under canonical settings; NULL: no row yet
    advanced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (system, table_name)
);
COMMENT ON TABLE platform.watermark IS 'How far incremental ingestion of a table has come; commits with the rows.';

CREATE TABLE platform.load (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text,                          -- Dagster run, if one did it
    system text NOT NULL,
    table_name text NOT NULL,
    mode text NOT NULL,
    chunk text NOT NULL,                  -- 'whole', a month as YYYY-MM, 'delta' or 'buckets'
    reason text NOT NULL,
    rows_written bigint NOT NULL,
    bytes_moved bigint NOT NULL,
    seconds double precision NOT NULL,
    source_snapshot text NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX load_by_table ON platform.load (system, table_name, id DESC);
COMMENT ON TABLE platform.load IS 'Every write of ingestion into a raw table; commits with the rows.';

CREATE TABLE platform.reconciliation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text,
    system text NOT NULL,
    table_name text NOT NULL,
    scope text NOT NULL,                  -- 'whole' or the months compared
    source_snapshot text NOT NULL,
    source_as_of timestamptz NOT NULL,    -- when the source snapshot was taken
    read_from_replica boolean NOT NULL,
    source_rows bigint NOT NULL,
    source_digest text NOT NULL,
    warehouse_rows bigint NOT NULL,
    warehouse_digest text NOT NULL,
    agrees boolean GENERATED ALWAYS AS (source_rows = warehouse_rows AND source_digest = warehouse_digest) STORED,
    reconciled_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX reconciliation_by_table ON platform.reconciliation (system, table_name, id DESC);
COMMENT ON TABLE platform.reconciliation IS 'Count and content fingerprint of source and warehouse under one source snapshot.';
