-- What analysts see: schema `masked`, a view for every staging table and every mart (docs/adr/0010).
CREATE SCHEMA IF NOT EXISTS masked;
COMMENT ON SCHEMA masked IS 'For analysts: every staging table and every mart, personal columns masked.';

-- HMAC-SHA256 as RFC 2104 has it: sha256(outer pad || sha256(inner pad || message)).
CREATE FUNCTION platform.hmac_pad(key bytea, filler int) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    block bytea := CASE WHEN length(key) > 64 THEN sha256(key) ELSE key END;
BEGIN
    block := block || decode(repeat('00', 64 - length(block)), 'hex');
    FOR place IN 0..63 LOOP
        block := set_byte(block, place, get_byte(block, place) # filler);
    END LOOP;
    RETURN block;
END
$$;

CREATE FUNCTION platform.hmac_sha256(inner_pad bytea, outer_pad bytea, message bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(outer_pad || sha256(inner_pad || message));

-- The first half of it, as a uuid. No secret is in here: the pads come from the caller. Short enough to be inlined.
CREATE FUNCTION platform.pseudonym(domain text, value text, inner_pad bytea, outer_pad bytea) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CAST(encode(substr(sha256(outer_pad || sha256(inner_pad || convert_to(domain || ':' || value, 'UTF8'))), 1, 16),
                   'hex') AS uuid);

-- The key of all pseudonyms, as its two pads. It never leaves this table: views read it as their owner.
CREATE TABLE platform.masking_key (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    inner_pad bytea NOT NULL CHECK (length(inner_pad) = 64),
    outer_pad bytea NOT NULL CHECK (length(outer_pad) = 64),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
REVOKE ALL ON platform.masking_key FROM PUBLIC;
COMMENT ON TABLE platform.masking_key IS 'Key of the pseudonyms in schema masked. Whoever has it can look persons up.';

-- A new random key; every pseudonym changes at once. 244 random bits: a version 4 uuid has 122.
CREATE FUNCTION platform.renew_masking_key() RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
    INSERT INTO platform.masking_key AS k (inner_pad, outer_pad)
    SELECT platform.hmac_pad(key, 54), platform.hmac_pad(key, 92)
      FROM (SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) AS key OFFSET 0) AS random
    ON CONFLICT (single) DO UPDATE
       SET inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad, made_at = excluded.made_at;
END;
REVOKE ALL ON FUNCTION platform.renew_masking_key() FROM PUBLIC;
SELECT platform.renew_masking_key();
ANALYZE platform.masking_key;             -- or the planner expects hundreds of keys

-- How each view was last defined, so that an unchanged one is left alone: replacing it waits for whoever reads it.
CREATE TABLE platform.masked_view (
    name text PRIMARY KEY,                -- of the view in schema masked, and of the model
    definition text NOT NULL              -- digest of the statement that made it
);
COMMENT ON TABLE platform.masked_view IS 'Views of schema masked, with the digest of their definition.';

-- Whether a masked view must be made: it is new, or another, or stands on a table that is about to go.
CREATE FUNCTION platform.masked_differs(of_model text, of_name text, of_definition text) RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT NOT EXISTS (SELECT FROM platform.masked_view AS v WHERE v.name = of_name AND v.definition = of_definition)
        OR NOT EXISTS (
            SELECT FROM pg_rewrite AS r JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
             WHERE r.ev_class = to_regclass(format('masked.%I', of_name))
               AND d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(of_model)
        );
END;

-- Let the role `analyst`, where there is one, read schema masked, whatever was made anew in it.
CREATE FUNCTION platform.let_analysts_read() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    view regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        RETURN;
    END IF;
    IF NOT has_schema_privilege('analyst', 'masked', 'USAGE') THEN
        GRANT USAGE ON SCHEMA masked TO analyst;
    END IF;
    FOR view IN SELECT oid FROM pg_class WHERE relnamespace = 'masked'::regnamespace AND relkind = 'v'
                   AND NOT has_table_privilege('analyst', oid, 'SELECT') LOOP
        EXECUTE format('GRANT SELECT ON %s TO analyst', view);
    END LOOP;
END
$$;

-- Trust signals for analysts: as of when each model that holds rows is.
CREATE VIEW masked.published AS
SELECT split_part(model, '.', 2) AS model, published_at, as_of, verified_through, tiers
  FROM platform.published WHERE model LIKE 'marts.%';
COMMENT ON VIEW masked.published IS 'As of when each mart is, and from which tiers its rows came.';
COMMENT ON COLUMN masked.published.model IS 'The mart.';
COMMENT ON COLUMN masked.published.published_at IS 'When it was last refreshed (UTC moment).';
COMMENT ON COLUMN masked.published.as_of IS
    'Moment of the source systems up to which it tells everything; NULL: not known.';
COMMENT ON COLUMN masked.published.verified_through IS
    'Moment at which all raw rows behind it were last found equal to the sources; NULL: some differ or were never compared.';
COMMENT ON COLUMN masked.published.tiers IS 'Where the raw rows behind it are: warehouse, or moved on to a colder tier.';
SELECT platform.let_analysts_read();
