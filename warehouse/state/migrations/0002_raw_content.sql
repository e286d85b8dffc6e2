-- What the raw schemas hold, piece by piece: a month of a table kept by month, or a whole table.
CREATE TABLE platform.raw_content (
    system text NOT NULL,
    table_name text NOT NULL,
    chunk text NOT NULL,                  -- 'whole' or a month as YYYY-MM
    rows bigint NOT NULL,                 -- in the warehouse, with those that the source dropped with their partition
    digest text NOT NULL,                 -- content fingerprint of the same rows
    agrees boolean,                       -- with the source when last compared; NULL: no longer, or not yet, compared
    agreed_as_of timestamptz,             -- moment of the source at the last comparison that agreed
    PRIMARY KEY (system, table_name, chunk)
);
COMMENT ON TABLE platform.raw_content IS 'Rows of each raw table by month or whole; commits with the rows.';

-- What is known so far. 'all months' gives way to months at the table's next comparison.
INSERT INTO platform.raw_content (system, table_name, chunk, rows, digest, agrees, agreed_as_of)
SELECT DISTINCT ON (system, table_name) system, table_name, scope, warehouse_rows, warehouse_digest, agrees,
       CASE WHEN agrees THEN source_as_of END
  FROM platform.reconciliation WHERE scope IN ('whole', 'all months') ORDER BY system, table_name, id DESC;
