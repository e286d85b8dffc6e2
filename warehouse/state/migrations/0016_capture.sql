-- How far the source's log has been read, table by table: the position commits with the rows that it speaks of.
CREATE TABLE platform.capture (
    system text PRIMARY KEY,
    slot text NOT NULL,
    server text NOT NULL,                         -- cluster and timeline that the slot is of: another's log is another's
    advanced_to pg_lsn NOT NULL,                  -- what the slot was told; it may not be further by itself
    read_at timestamptz,                          -- when the log was last read to its end
    committed_at timestamptz                      -- at the source, of the last transaction that was read
);
COMMENT ON TABLE platform.capture IS 'Replication slots by which changes are captured, and how far they were read.';

CREATE TABLE platform.capture_table (
    system text NOT NULL,
    table_name text NOT NULL,
    applied pg_lsn NOT NULL DEFAULT '0/0',        -- all transactions up to here are in the warehouse
    visible text,                                 -- a snapshot that has seen all of them, as pg_current_snapshot says
    snapshot text,                                -- what the last comparison saw, as pg_current_snapshot says
    compare text,                                 -- why the table has to be compared before more is applied; NULL: it need not
    PRIMARY KEY (system, table_name),
    CHECK (snapshot IS NOT NULL OR compare IS NOT NULL)
);
COMMENT ON TABLE platform.capture_table IS 'Tables whose changes are captured, and how far these were applied.';
