-- What persons were given of their own data: made when, kept where until when, fetched by whom, removed why. It says how much,
-- never whose: whom a request is about is in platform.erasure_subject, by keyed digest.

-- A request for a copy is planned and approved as an erasure is, and ends there: no step of it deletes anything.
UPDATE platform.erasure_transition SET kinds = kinds || '{export}'
 WHERE NOT 'export' = ANY(kinds) AND (
       (was, becomes) IN (('scoping', 'planned'), ('planned', 'awaiting_approval'), ('awaiting_approval', 'approved'))
    OR (becomes IN ('scoping', 'denied', 'revoked') AND was IN ('planned', 'awaiting_approval', 'approved')));
INSERT INTO platform.erasure_transition (was, becomes, role, kinds) VALUES ('approved', 'completed', 'operator', '{export}');

CREATE TABLE platform.export (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request bigint NOT NULL REFERENCES platform.erasure_request,
    path text UNIQUE,                             -- in the object store; NULL: it was written to a file, and is not kept here
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    made_by text NOT NULL DEFAULT session_user,
    made_at timestamptz,                          -- NULL: it was cut off, and something of it may be there
    sha256 bytea CHECK (length(sha256) = 32),
    bytes bigint,
    rows bigint,
    files bigint,
    expires_at timestamptz,
    fetched_at timestamptz,                       -- last
    fetched_by text,
    fetches integer NOT NULL DEFAULT 0,
    removed_at timestamptz,
    removed_why text CHECK (removed_why IN ('expired', 'erased', 'unfinished')),
    CHECK ((made_at IS NULL) = (sha256 IS NULL)),
    CHECK (path IS NOT NULL OR expires_at IS NULL),
    CHECK ((removed_at IS NULL) = (removed_why IS NULL))
);
CREATE INDEX export_by_request ON platform.export (request);
COMMENT ON TABLE platform.export IS 'Copies that persons asked for: where each is kept and until when, who fetched it, why it went.';
COMMENT ON COLUMN platform.export.path IS 'Below _drivetrain/exports of the lake; NULL: it was written to a file, and nobody keeps it here.';

CREATE FUNCTION platform.begin_export(of_request bigint, to_path text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM platform.refuse_others('operator');
    PERFORM FROM platform.erasure_request WHERE id = of_request AND kind = 'export' AND state = 'approved' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'request % is no approved request for a copy', of_request
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    INSERT INTO platform.export (request, path) VALUES (of_request, to_path) RETURNING id INTO made;
    RETURN made;
END
$$;

-- It is made, and the request is over: which rows were the person's is kept no longer.
CREATE FUNCTION platform.end_export(
    of_export bigint, of_sha256 bytea, of_bytes bigint, of_rows bigint, of_files bigint, valid_for interval
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    export platform.export;
BEGIN
    PERFORM platform.refuse_others('operator');
    IF valid_for <= interval '0' OR valid_for > interval '90 days' THEN
        RAISE EXCEPTION 'a copy is kept for up to 90 days' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE platform.export SET made_at = clock_timestamp(), sha256 = of_sha256, bytes = of_bytes, rows = of_rows,
           files = of_files, expires_at = CASE WHEN path IS NOT NULL THEN clock_timestamp() + valid_for END
     WHERE id = of_export AND made_at IS NULL AND removed_at IS NULL RETURNING * INTO export;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'export % is not being made', of_export USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM audit.note('export made', export.request, jsonb_build_object(
        'export', of_export, 'sha256', encode(of_sha256, 'hex'), 'bytes', of_bytes, 'rows', of_rows, 'files', of_files,
        'kept', export.path IS NOT NULL, 'expires_at', export.expires_at));
    PERFORM platform.move_request(export.request, 'completed', jsonb_build_object('export', of_export));
    UPDATE platform.erasure_request SET scope = NULL WHERE id = export.request;
END
$$;

-- Noted before it is handed over.
CREATE FUNCTION platform.fetch_export(of_export bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    export platform.export;
BEGIN
    PERFORM platform.refuse_others('requester');
    UPDATE platform.export SET fetched_at = clock_timestamp(), fetched_by = session_user, fetches = fetches + 1
     WHERE id = of_export AND made_at IS NOT NULL AND path IS NOT NULL AND removed_at IS NULL
       AND expires_at > clock_timestamp() RETURNING * INTO export;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'export % is not kept, or no longer', of_export USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM audit.note('export fetched', export.request, jsonb_build_object('export', of_export));
END
$$;

CREATE FUNCTION platform.remove_export(of_export bigint, because text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    export platform.export;
BEGIN
    PERFORM platform.refuse_others('operator');
    UPDATE platform.export SET removed_at = clock_timestamp(), removed_why = because
     WHERE id = of_export AND removed_at IS NULL RETURNING * INTO export;
    IF FOUND THEN
        PERFORM audit.note('export ' || because, export.request, jsonb_build_object('export', of_export));
    END IF;
END
$$;

CREATE FUNCTION platform.let_officers_export() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    officer text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'drivetrain_auditor') THEN
        RETURN;
    END IF;
    FOREACH officer IN ARRAY ARRAY['requester', 'approver', 'operator', 'auditor'] LOOP
        EXECUTE format('GRANT SELECT ON platform.export TO drivetrain_%s', officer);
    END LOOP;
    GRANT EXECUTE ON FUNCTION platform.fetch_export(bigint) TO drivetrain_requester;
END
$$;
REVOKE ALL ON FUNCTION
    platform.begin_export(bigint, text), platform.end_export(bigint, bytea, bigint, bigint, bigint, interval),
    platform.fetch_export(bigint), platform.remove_export(bigint, text), platform.let_officers_export() FROM PUBLIC;
SELECT platform.let_officers_export();
