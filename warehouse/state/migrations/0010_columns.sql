-- Over which columns contents were hashed: the raw table's first so many. A row that was hashed before a column was added
-- equals the same row with NULL in it. A table of which months have left its source loses no column (raw_store), so up to
-- now every month was hashed over those that there are.
ALTER TABLE platform.tier_move ADD COLUMN kept_columns integer, ADD COLUMN columns integer;
COMMENT ON COLUMN platform.tier_move.columns IS 'How many columns rows and hash are of: the first ones of the raw table.';
COMMENT ON COLUMN platform.tier_move.kept_columns IS 'The same of kept_rows and kept_hash.';
ALTER TABLE platform.expiry ADD COLUMN columns integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN platform.expiry.columns IS 'warm, cold: how many columns the hash is of: the first ones of the raw table.';

CREATE FUNCTION pg_temp.columns_of(system text, table_name text) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT count(*)::integer FROM pg_attribute
     WHERE attrelid = to_regclass(format('%I.%I', 'raw_' || system, table_name)) AND attnum > 0 AND NOT attisdropped
$$;
UPDATE platform.tier_move SET kept_columns = pg_temp.columns_of(system, table_name) WHERE kept_rows IS NOT NULL;
UPDATE platform.tier_move SET columns = pg_temp.columns_of(system, table_name) WHERE rows IS NOT NULL;
ALTER TABLE platform.expiry DISABLE TRIGGER done_for_good;
UPDATE platform.expiry SET columns = pg_temp.columns_of(system, table_name) WHERE tier <> 'hot';
ALTER TABLE platform.expiry ENABLE TRIGGER done_for_good;
ALTER TABLE platform.tier_move
    ADD CHECK ((rows IS NULL) = (columns IS NULL)), ADD CHECK ((kept_rows IS NULL) = (kept_columns IS NULL));
