-- Restriction of processing (GDPR Art. 18): whose rows no reader is shown for now, though they are kept, ingested and
-- tiered like all others. Persons whose erasure is under way are hidden by the same rows (docs/adr/0021).

-- By the keys themselves and not by digests: until then the same keys stand in the raw tables, and a digest of every row
-- that is read would cost more than all masks of it. Views read it as their owner, as they do the key of the masks.
CREATE TABLE platform.restriction (
    system text NOT NULL,
    table_name text NOT NULL,                     -- whose key it is: the persons' table, or one on the way to them
    column_name text NOT NULL,
    value text NOT NULL,                          -- as the server prints it
    request bigint NOT NULL REFERENCES platform.erasure_request,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (system, table_name, column_name, value, request)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 0);  -- what was deleted does not stay in its pages
ALTER TABLE platform.restriction ALTER COLUMN value SET STATISTICS 0;  -- nor does it get into statistics
REVOKE ALL ON platform.restriction FROM PUBLIC;
CREATE INDEX restriction_by_request ON platform.restriction (request);
COMMENT ON TABLE platform.restriction IS
    'Keys whose rows no reader is shown: of persons whose data may not be used, or whose erasure is under way.';

CREATE VIEW platform.restricted AS
SELECT request, system, min(since) AS since, count(*) AS keys FROM platform.restriction GROUP BY request, system;
COMMENT ON VIEW platform.restricted IS 'Which requests hide rows, of which systems, since when, and by how many keys.';

-- A request that has ended hides nobody, however it ended.
CREATE FUNCTION platform.request_ended(state text) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN state LIKE 'completed%' OR state IN ('denied', 'revoked');

CREATE FUNCTION platform.end_hiding() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM platform.restriction WHERE request = NEW.id;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION platform.end_hiding() FROM PUBLIC;
CREATE TRIGGER end_hiding AFTER UPDATE OF state ON platform.erasure_request
    FOR EACH ROW WHEN (platform.request_ended(NEW.state)) EXECUTE FUNCTION platform.end_hiding();

-- Each kind of request has its own steps: a restriction deletes nothing, and it takes an approver to end it.
ALTER TABLE platform.erasure_transition
    ADD COLUMN kinds text[] NOT NULL DEFAULT '{erasure,restriction,export}';
COMMENT ON COLUMN platform.erasure_transition.kinds IS 'Of which kinds of requests.';
UPDATE platform.erasure_transition SET kinds = '{erasure}'
 WHERE was NOT IN ('received', 'verifying', 'scoping') OR becomes IN ('planned', 'blocked_hold');
INSERT INTO platform.erasure_transition (was, becomes, role, kinds) VALUES
    ('scoping', 'restricting', 'operator', '{restriction}'),
    ('restricting', 'completed', 'approver', '{restriction}');

CREATE OR REPLACE FUNCTION platform.move_request(of_request bigint, to_state text, with_detail jsonb DEFAULT '{}')
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_is text;
    of_kind text;
    roles text[];
BEGIN
    SELECT state, kind INTO now_is, of_kind FROM platform.erasure_request WHERE id = of_request FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no request %', of_request USING ERRCODE = 'no_data_found';
    END IF;
    SELECT array_agg(role) INTO roles FROM platform.erasure_transition
     WHERE was = now_is AND becomes = to_state AND of_kind = ANY(kinds);
    IF roles IS NULL THEN
        RAISE EXCEPTION 'request % (%) is %, and cannot become %', of_request, of_kind, now_is, to_state
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM platform.refuse_others(VARIADIC roles);
    UPDATE platform.erasure_request SET state = to_state, changed_at = clock_timestamp(),
           reason = coalesce(with_detail ->> 'reason', reason) WHERE id = of_request;
    PERFORM audit.note('request ' || to_state, of_request, with_detail || jsonb_build_object('was', now_is));
    RETURN now_is;
END
$$;

-- Another person than the requester ends a restriction, with a reason; the rows are shown again at once.
CREATE FUNCTION platform.end_restriction(of_request bigint, why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    filed_by text;
BEGIN
    PERFORM platform.refuse_others('approver');
    SELECT requested_by INTO filed_by FROM platform.erasure_request
     WHERE id = of_request AND kind = 'restriction' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no request % for restriction', of_request USING ERRCODE = 'no_data_found';
    END IF;
    IF filed_by = session_user THEN
        RAISE EXCEPTION '% filed request %: somebody else has to end the restriction', session_user, of_request
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF coalesce(btrim(why), '') = '' THEN
        RAISE EXCEPTION 'a restriction ends for a reason: say which' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM platform.move_request(of_request, 'completed', jsonb_build_object('reason', why));
END
$$;
REVOKE ALL ON FUNCTION platform.end_restriction(bigint, text) FROM PUBLIC;

CREATE FUNCTION platform.let_officers_restrict() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'drivetrain_auditor') THEN
        GRANT SELECT ON platform.restricted
            TO drivetrain_requester, drivetrain_approver, drivetrain_operator, drivetrain_auditor;
        GRANT EXECUTE ON FUNCTION platform.end_restriction(bigint, text) TO drivetrain_approver;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION platform.let_officers_restrict() FROM PUBLIC;
SELECT platform.let_officers_restrict();
