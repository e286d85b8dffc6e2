-- How each view of the dbt project was last defined, so that an unchanged one is left alone: replacing a view waits for
-- whoever reads it, and lets nobody else read it meanwhile.
CREATE TABLE platform.model_view (
    name text PRIMARY KEY,                -- schema.name
    query text NOT NULL,                  -- digest of the query that dbt gave
    held text NOT NULL                    -- digest of what PostgreSQL made of it: whatever else changes the view shows
);
COMMENT ON TABLE platform.model_view IS 'Views that dbt made, with digests of their query.';

CREATE FUNCTION platform.view_differs(of_view text, of_query text) RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT NOT EXISTS (SELECT FROM platform.model_view AS v WHERE v.name = of_view AND v.query = of_query
                          AND v.held = md5(pg_get_viewdef(to_regclass(of_view))));
END;
