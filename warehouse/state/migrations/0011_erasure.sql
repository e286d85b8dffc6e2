-- Requests of persons, who decided what, what was found to do and what was done; tombstones; the audit log.
-- Who may do what, the database decides: officers are roles (warehouse/state/officers.sql), and what changes here is changed
-- by functions that ask for the session's user. No identifier of a person is in here but encrypted, or as a keyed digest.

-- The audit log, in a schema of its own, which officers.sql gives to a role that nobody is: who owns a schema can drop what
-- is in it. Entries are chained: each has the digest of the one before, so that an edit, a gap or another order shows.
CREATE SCHEMA audit;
COMMENT ON SCHEMA audit IS 'What nobody may change: the log of what happened to requests, holds and keys, and who approved what.';
CREATE TABLE audit.event (
    id bigint PRIMARY KEY CHECK (id > 0),         -- without gaps, in the order of the chain
    at timestamptz NOT NULL,
    by_role text NOT NULL,                        -- who was signed in
    kind text NOT NULL CHECK (kind <> ''),
    request bigint,
    detail jsonb NOT NULL,
    previous bytea NOT NULL CHECK (length(previous) = 32),
    hash bytea NOT NULL CHECK (length(hash) = 32)
);
COMMENT ON TABLE audit.event IS 'What happened to requests, holds and keys. Only ever added to; each entry has the digest of the one before.';
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.event
    FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();

-- What the digest of an entry is of: its fields, each with its length before it, so that no two entries read alike.
CREATE FUNCTION audit.text_of(id bigint, at timestamptz, by_role text, kind text, request bigint, detail jsonb)
RETURNS text LANGUAGE sql IMMUTABLE
RETURN (SELECT string_agg(length(field) || ':' || field, '' ORDER BY place) FROM unnest(ARRAY[
    id::text, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), by_role, kind, coalesce(request::text, ''),
    detail::text]) WITH ORDINALITY AS fields (field, place));

CREATE FUNCTION audit.note(of_kind text, of_request bigint, with_detail jsonb DEFAULT '{}') RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last audit.event;
    entry audit.event;
BEGIN
    LOCK TABLE audit.event IN SHARE ROW EXCLUSIVE MODE;  -- one entry after the other; whoever reads does not wait
    SELECT * INTO last FROM audit.event ORDER BY id DESC LIMIT 1;
    entry.id := coalesce(last.id, 0) + 1;
    entry.at := clock_timestamp();
    entry.by_role := session_user;
    entry.kind := of_kind;
    entry.request := of_request;
    entry.detail := with_detail;
    entry.previous := coalesce(last.hash, sha256('drivetrain'));
    entry.hash := sha256(entry.previous || convert_to(audit.text_of(
        entry.id, entry.at, entry.by_role, entry.kind, entry.request, entry.detail), 'UTF8'));
    INSERT INTO audit.event SELECT entry.*;
    RETURN entry.id;
END
$$;
REVOKE ALL ON FUNCTION audit.note(text, bigint, jsonb) FROM PUBLIC;

CREATE VIEW platform.audit_event AS SELECT * FROM audit.event;
COMMENT ON VIEW platform.audit_event IS 'The audit log (audit.event), to read.';

-- Requests of persons to be erased, to have their data, or to have its use restricted.
CREATE TABLE platform.erasure_request (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('erasure', 'restriction', 'export')),
    law text NOT NULL,
    reference text NOT NULL DEFAULT '',           -- the officer's own: a ticket, a file
    received_at timestamptz NOT NULL,             -- when the person asked: the law counts from here
    confirm_by timestamptz,
    due_at timestamptz NOT NULL,
    latest_at timestamptz NOT NULL,               -- if extended, with notice
    extended_at timestamptz,
    extended_why text,
    state text NOT NULL DEFAULT 'received',
    reason text,                                  -- of a denial, a revocation, a failure
    identifiers bytea NOT NULL,                   -- encrypted: what the person is looked for by
    identifier_digests bytea[] NOT NULL,          -- keyed: another request of the same person is known by them
    scope bytea,                                  -- encrypted: which rows, and their pseudonyms; destroyed at the end
    mentions jsonb NOT NULL DEFAULT '[]',         -- rows of others that may mean the person, by key: somebody reads them
    requested_by text NOT NULL DEFAULT session_user,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (due_at <= latest_at)
);
COMMENT ON TABLE platform.erasure_request IS 'Requests of persons, and how far each has come.';
COMMENT ON COLUMN platform.erasure_request.identifiers IS 'Encrypted: what the person is looked for by.';
COMMENT ON COLUMN platform.erasure_request.scope IS 'Encrypted: which rows are the person''s; destroyed when the request is over.';

-- Which state may follow which, and for whose role.
CREATE TABLE platform.erasure_transition (
    was text NOT NULL,
    becomes text NOT NULL,
    role text NOT NULL CHECK (role IN ('requester', 'approver', 'operator')),
    PRIMARY KEY (was, becomes, role)
);
COMMENT ON TABLE platform.erasure_transition IS 'The states of a request: which may follow which, and who may say so.';
INSERT INTO platform.erasure_transition (was, becomes, role) VALUES
    ('received', 'verifying', 'requester'),
    ('verifying', 'scoping', 'requester'),              -- the officer has confirmed which persons it is about
    ('scoping', 'planned', 'operator'),
    ('planned', 'awaiting_approval', 'operator'),
    ('awaiting_approval', 'approved', 'approver'),
    ('approved', 'restricting', 'operator'),
    ('restricting', 'executing', 'operator'),
    ('executing', 'retry_wait', 'operator'),
    ('retry_wait', 'executing', 'operator'),
    ('executing', 'rebuilding', 'operator'),
    ('rebuilding', 'verifying_erasure', 'operator'),
    ('verifying_erasure', 'executing', 'operator'),     -- residue was found
    ('verifying_erasure', 'completed', 'operator'),
    ('verifying_erasure', 'completed_with_retention', 'operator'),
    ('verifying_erasure', 'completed_pending_backup_expiry', 'operator'),
    ('completed_pending_backup_expiry', 'completed', 'operator'),
    ('completed_pending_backup_expiry', 'completed_with_retention', 'operator'),
    ('completed', 'executing', 'operator'),             -- residue was found later, by another verification
    ('completed_with_retention', 'executing', 'operator'),
    ('completed_pending_backup_expiry', 'executing', 'operator'),
    ('planned', 'scoping', 'operator'),                 -- what there is has changed: plan anew
    ('awaiting_approval', 'scoping', 'operator'),
    ('approved', 'scoping', 'operator'),
    ('scoping', 'blocked_hold', 'operator'),
    ('planned', 'blocked_hold', 'operator'),
    ('awaiting_approval', 'blocked_hold', 'operator'),
    ('approved', 'blocked_hold', 'operator'),
    ('restricting', 'blocked_hold', 'operator'),
    ('executing', 'blocked_hold', 'operator'),
    ('retry_wait', 'blocked_hold', 'operator'),
    ('blocked_hold', 'scoping', 'operator'),
    ('restricting', 'failed_needs_operator', 'operator'),
    ('executing', 'failed_needs_operator', 'operator'),
    ('retry_wait', 'failed_needs_operator', 'operator'),
    ('rebuilding', 'failed_needs_operator', 'operator'),
    ('verifying_erasure', 'failed_needs_operator', 'operator'),
    ('failed_needs_operator', 'executing', 'operator'),
    ('failed_needs_operator', 'scoping', 'operator'),
    ('verifying', 'received', 'requester');
INSERT INTO platform.erasure_transition (was, becomes, role)
SELECT was, 'denied', 'approver' FROM unnest(ARRAY['received', 'verifying', 'scoping', 'planned', 'awaiting_approval',
                                                   'approved', 'blocked_hold']) AS was
 UNION ALL
SELECT was, 'revoked', role FROM unnest(ARRAY['received', 'verifying', 'scoping', 'planned', 'awaiting_approval', 'approved',
                                              'restricting', 'blocked_hold']) AS was,
       unnest(ARRAY['requester', 'approver']) AS role;
ALTER TABLE platform.erasure_request ADD CHECK (state IN (
    'received', 'verifying', 'scoping', 'planned', 'awaiting_approval', 'approved', 'restricting', 'executing', 'retry_wait',
    'rebuilding', 'verifying_erasure', 'completed', 'completed_with_retention', 'completed_pending_backup_expiry',
    'denied', 'revoked', 'blocked_hold', 'failed_needs_operator'));

-- The persons that a request is about, as its officer confirmed them.
CREATE TABLE platform.erasure_subject (
    request bigint NOT NULL REFERENCES platform.erasure_request,
    system text NOT NULL,
    person bytea NOT NULL,                        -- keyed digest of the person's key
    matched text[] NOT NULL,                      -- by which kinds of identifiers: email, phone ...
    confirmed_by text NOT NULL DEFAULT session_user,
    confirmed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (request, system, person)
);
COMMENT ON TABLE platform.erasure_subject IS 'Whom a request is about, by keyed digest, as its officer confirmed it.';

-- What is to be done, sealed: an approval is of one plan by its digest.
CREATE TABLE platform.erasure_plan (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request bigint NOT NULL REFERENCES platform.erasure_request,
    document jsonb NOT NULL,
    canonical text NOT NULL,                      -- the same, byte by byte as it was sealed
    sha256 bytea NOT NULL CHECK (sha256 = sha256(convert_to(canonical, 'UTF8'))),
    made_by text NOT NULL DEFAULT session_user,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (document = canonical::jsonb)
);
COMMENT ON TABLE platform.erasure_plan IS 'What each request was found to demand: stores, actions, counts. Never changed.';
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON platform.erasure_plan
    FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();

CREATE TABLE audit.approval (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request bigint NOT NULL REFERENCES platform.erasure_request,
    plan bigint NOT NULL REFERENCES platform.erasure_plan,
    sha256 bytea NOT NULL,
    approved_by text NOT NULL,
    approved_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE audit.approval IS 'Who approved which plan, by its digest, and until when that counts. Never changed.';
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.approval
    FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();

-- The steps of a request that is carried out: each can be taken again by whoever goes on (who works on a request holds its
-- advisory lock). Counts of rows only.
CREATE TABLE platform.erasure_task (
    request bigint NOT NULL REFERENCES platform.erasure_request,
    store text NOT NULL,                          -- as certificates name them; detached: what left its table at the source
    place text NOT NULL,                          -- system.table, bucket ...
    action text NOT NULL,
    expected bigint NOT NULL,                     -- as the approved plan counted
    actual bigint NOT NULL DEFAULT 0,             -- rows or versions that went or were changed, over all runs
    versions bigint NOT NULL DEFAULT 0,           -- of objects, that went
    residual bigint,                              -- found afterwards, by another role and code; NULL: nobody looked yet
    state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'running', 'done')),
    attempts integer NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (request, store, place)
);
COMMENT ON TABLE platform.erasure_task IS 'The steps of each request, with what was expected, done and left.';

-- Tombstones: whose rows no writer lets in any more. By keyed digest of a key of a table, as the server prints it.
CREATE TABLE platform.tombstone (
    system text NOT NULL,
    table_name text NOT NULL,                     -- whose key it is: the persons' table, or one on the way to them
    column_name text NOT NULL,
    digest bytea NOT NULL,
    request bigint NOT NULL,                      -- by which; it says so, and no more: tombstones outlive requests that a
                                                  -- restored warehouse has lost
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (system, table_name, column_name, digest)
);
COMMENT ON TABLE platform.tombstone IS 'Whose rows nobody lets into the warehouse or the lake any more, by keyed digest.';
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON platform.tombstone
    FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();

-- Which copies of them outside of the cluster this warehouse knows: noted before a copy is written, and after a replay. A copy
-- that is not here, or is longer than here, is of a time after the backup that this warehouse was restored from.
CREATE TABLE platform.tombstone_copy (
    request bigint PRIMARY KEY,
    bytes bigint NOT NULL,                        -- copies only grow
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE platform.tombstone_copy IS 'Copies of tombstones in the object store that this warehouse knows.';

-- While tombstones are replayed: whose rows were found and what their keys become, so that whoever goes on gives no others.
CREATE TABLE platform.tombstone_replay (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    scope bytea NOT NULL,                         -- encrypted, like that of a request; destroyed at the end
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE platform.tombstone_replay IS 'The replay of tombstones that is under way, encrypted; destroyed at its end.';

-- The key of those digests, as its two pads (0004_masking.sql). Renewed, every tombstone would be void: it never is.
CREATE TABLE platform.tombstone_key (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    inner_pad bytea NOT NULL CHECK (length(inner_pad) = 64),
    outer_pad bytea NOT NULL CHECK (length(outer_pad) = 64),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE platform.tombstone_key IS 'Key of the digests in tombstones. Whoever has it can look a person''s key up.';
REVOKE ALL ON platform.tombstone_key FROM PUBLIC;
INSERT INTO platform.tombstone_key (inner_pad, outer_pad)
SELECT platform.hmac_pad(key, 54), platform.hmac_pad(key, 92)
  FROM (SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) AS key OFFSET 0) AS random;
ANALYZE platform.tombstone_key;
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON platform.tombstone_key
    FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();

-- Who is signed in acts as an officer of a role; a superuser as all of them.
CREATE FUNCTION platform.is_officer(of_role text) RETURNS boolean LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM pg_roles WHERE rolname = 'drivetrain_' || of_role
                  AND pg_has_role(session_user, oid, 'MEMBER'));

CREATE FUNCTION platform.refuse_others(VARIADIC roles text[]) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY roles LOOP
        IF platform.is_officer(role) THEN
            RETURN role;
        END IF;
    END LOOP;
    RAISE EXCEPTION '% is not a member of drivetrain_%', session_user, array_to_string(roles, ' or drivetrain_')
        USING ERRCODE = 'insufficient_privilege';
END
$$;

-- A request goes from one state to another, if that is declared, and for the role of who asks.
CREATE FUNCTION platform.move_request(of_request bigint, to_state text, with_detail jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_is text;
    roles text[];
BEGIN
    SELECT state INTO now_is FROM platform.erasure_request WHERE id = of_request FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no request %', of_request USING ERRCODE = 'no_data_found';
    END IF;
    SELECT array_agg(role) INTO roles FROM platform.erasure_transition WHERE was = now_is AND becomes = to_state;
    IF roles IS NULL THEN
        RAISE EXCEPTION 'request % is %, and cannot become %', of_request, now_is, to_state
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM platform.refuse_others(VARIADIC roles);
    UPDATE platform.erasure_request SET state = to_state, changed_at = clock_timestamp(),
           reason = coalesce(with_detail ->> 'reason', reason) WHERE id = of_request;
    PERFORM audit.note('request ' || to_state, of_request, with_detail || jsonb_build_object('was', now_is));
    RETURN now_is;
END
$$;

CREATE FUNCTION platform.file_request(
    of_kind text, of_law text, with_reference text, of_received_at timestamptz, of_confirm_by timestamptz,
    of_due_at timestamptz, of_latest_at timestamptz, with_identifiers bytea, with_digests bytea[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM platform.refuse_others('requester');
    INSERT INTO platform.erasure_request
        (kind, law, reference, received_at, confirm_by, due_at, latest_at, identifiers, identifier_digests)
    VALUES (of_kind, of_law, with_reference, of_received_at, of_confirm_by, of_due_at, of_latest_at, with_identifiers,
            with_digests) RETURNING id INTO made;
    PERFORM audit.note('request received', made, jsonb_build_object(
        'kind', of_kind, 'law', of_law, 'received_at', of_received_at, 'due_at', of_due_at));
    RETURN made;
END
$$;

CREATE FUNCTION platform.confirm_subject(of_request bigint, of_system text, of_person bytea, by_kinds text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM platform.refuse_others('requester');
    PERFORM FROM platform.erasure_request WHERE id = of_request AND state = 'verifying' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'request % is not being verified', of_request USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    INSERT INTO platform.erasure_subject (request, system, person, matched)
    VALUES (of_request, of_system, of_person, by_kinds) ON CONFLICT DO NOTHING;
    PERFORM audit.note('subject confirmed', of_request, jsonb_build_object('system', of_system, 'by', by_kinds));
END
$$;

CREATE FUNCTION platform.extend_request(of_request bigint, why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM platform.refuse_others('requester', 'approver');
    UPDATE platform.erasure_request SET due_at = latest_at, extended_at = clock_timestamp(), extended_why = why,
           changed_at = clock_timestamp()
     WHERE id = of_request AND extended_at IS NULL AND clock_timestamp() <= due_at AND due_at < latest_at AND why <> '';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'request % cannot be extended: once, with a reason, before it is due, and where the law has it', of_request
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM audit.note('request extended', of_request, jsonb_build_object('why', why));
END
$$;

CREATE FUNCTION platform.deny_request(of_request bigint, because text, with_note text DEFAULT '') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF because NOT IN ('suspected_fraud', 'insufficient_verification', 'no_match', 'claim_not_covered',
                       'outside_jurisdiction', 'too_many_requests', 'other') THEN
        RAISE EXCEPTION '% is no reason to deny a request', because USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM platform.move_request(of_request, 'denied', jsonb_build_object('reason', because, 'note', with_note));
    UPDATE platform.erasure_request SET scope = NULL WHERE id = of_request;
END
$$;

CREATE FUNCTION platform.revoke_request(of_request bigint, why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM platform.move_request(of_request, 'revoked', jsonb_build_object('reason', why));
    UPDATE platform.erasure_request SET scope = NULL WHERE id = of_request;
END
$$;

-- Another person than the requester approves one plan, which has to be the newest, by its digest.
CREATE FUNCTION audit.approve(of_request bigint, of_plan bytea, valid_for interval DEFAULT '7 days') RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    request platform.erasure_request;
    newest platform.erasure_plan;
    made bigint;
BEGIN
    PERFORM platform.refuse_others('approver');
    SELECT * INTO request FROM platform.erasure_request WHERE id = of_request FOR UPDATE;
    IF request.requested_by = session_user OR EXISTS (
        SELECT FROM platform.erasure_subject AS s WHERE s.request = of_request AND s.confirmed_by = session_user) THEN
        RAISE EXCEPTION '% filed request % or confirmed its persons: somebody else has to approve it', session_user, of_request
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT * INTO newest FROM platform.erasure_plan AS p WHERE p.request = of_request ORDER BY p.id DESC LIMIT 1;
    IF newest.sha256 IS DISTINCT FROM of_plan THEN
        RAISE EXCEPTION 'request % has another plan by now: look at it first', of_request
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF valid_for <= interval '0' OR valid_for > interval '31 days' THEN
        RAISE EXCEPTION 'an approval is valid for up to 31 days' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM platform.move_request(of_request, 'approved', jsonb_build_object('plan', encode(of_plan, 'hex')));
    INSERT INTO audit.approval (request, plan, sha256, approved_by, approved_at, expires_at)
    VALUES (of_request, newest.id, of_plan, session_user, clock_timestamp(), clock_timestamp() + valid_for)
    RETURNING id INTO made;
    RETURN made;
END
$$;

-- What was done, signed: the file, byte by byte. Issued by the operator; never changed.
CREATE TABLE audit.certificate (
    number text PRIMARY KEY,
    request bigint NOT NULL REFERENCES platform.erasure_request,
    content bytea NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE audit.certificate IS 'Signed certificates of erasures. Never changed.';
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.certificate
    FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();

CREATE FUNCTION audit.certify(of_request bigint, of_number text, with_content bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM platform.refuse_others('operator');
    INSERT INTO audit.certificate (number, request, content) VALUES (of_number, of_request, with_content);
    PERFORM audit.note('certificate issued', of_request, jsonb_build_object(
        'number', of_number, 'sha256', encode(sha256(with_content), 'hex')));
END
$$;
REVOKE ALL ON FUNCTION audit.certify(bigint, text, bytea) FROM PUBLIC;

-- Holds: placed by a requester or an approver, released by an approver, or over by themselves.
ALTER TABLE platform.legal_hold ADD COLUMN until timestamptz;
COMMENT ON COLUMN platform.legal_hold.until IS 'When it ends by itself; NULL: when it is released.';
CREATE FUNCTION platform.place_hold(of_system text, of_table text, of_subject text, why text, of_until timestamptz)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM platform.refuse_others('requester', 'approver');
    IF of_until <= clock_timestamp() THEN
        RAISE EXCEPTION 'a hold that ends before it begins holds nothing' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO platform.legal_hold (system, table_name, subject, reason, placed_by, until)
    VALUES (of_system, of_table, of_subject, why, session_user, of_until) RETURNING id INTO made;
    PERFORM audit.note('hold placed', NULL, jsonb_build_object(
        'hold', made, 'system', of_system, 'table', of_table, 'person', of_subject IS NOT NULL, 'until', of_until));
    RETURN made;
END
$$;

CREATE FUNCTION platform.release_hold(of_hold bigint, why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM platform.refuse_others('approver');
    UPDATE platform.legal_hold SET released_by = session_user, released_at = clock_timestamp()
     WHERE id = of_hold AND released_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no hold % that stands', of_hold USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM audit.note('hold released', NULL, jsonb_build_object('hold', of_hold, 'why', why));
END
$$;

-- What officers may call and read, where their roles are (warehouse/state/officers.sql).
CREATE FUNCTION platform.let_officers_act() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    officer text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'drivetrain_auditor') THEN
        RETURN;
    END IF;
    FOREACH officer IN ARRAY ARRAY['requester', 'approver', 'operator', 'auditor'] LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA platform TO drivetrain_%s', officer);
        EXECUTE format('GRANT SELECT ON platform.erasure_plan, platform.audit_event, platform.erasure_task,'
            ' platform.erasure_transition, platform.erasure_subject, platform.legal_hold'
            ' TO drivetrain_%s', officer);
        EXECUTE format('GRANT SELECT (id, kind, law, reference, received_at, confirm_by, due_at, latest_at, extended_at,'
            ' extended_why, state, reason, mentions, requested_by, requested_at, changed_at) ON platform.erasure_request'
            ' TO drivetrain_%s', officer);
        EXECUTE format('GRANT EXECUTE ON FUNCTION platform.is_officer(text), platform.refuse_others(text[]),'
            ' platform.move_request(bigint, text, jsonb) TO drivetrain_%s', officer);
    END LOOP;
    GRANT SELECT (identifiers, identifier_digests) ON platform.erasure_request TO drivetrain_requester;
    GRANT EXECUTE ON FUNCTION platform.file_request(
        text, text, text, timestamptz, timestamptz, timestamptz, timestamptz, bytea, bytea[]),
        platform.confirm_subject(bigint, text, bytea, text[]) TO drivetrain_requester;
    GRANT EXECUTE ON FUNCTION platform.extend_request(bigint, text), platform.revoke_request(bigint, text),
        platform.place_hold(text, text, text, text, timestamptz) TO drivetrain_requester, drivetrain_approver;
    GRANT EXECUTE ON FUNCTION platform.deny_request(bigint, text, text), platform.release_hold(bigint, text)
        TO drivetrain_approver;
END
$$;
REVOKE ALL ON FUNCTION
    platform.file_request(text, text, text, timestamptz, timestamptz, timestamptz, timestamptz, bytea, bytea[]),
    platform.confirm_subject(bigint, text, bytea, text[]), platform.extend_request(bigint, text),
    platform.deny_request(bigint, text, text), platform.revoke_request(bigint, text), platform.place_hold(text, text, text, text, timestamptz),
    platform.release_hold(bigint, text), platform.move_request(bigint, text, jsonb), platform.let_officers_act() FROM PUBLIC;
SELECT platform.let_officers_act();

-- Where a superuser has provided for it, the audit log and the approvals are from now on nobody's who works with them.
DO $$
BEGIN
    IF to_regprocedure('drivetrain_seal.seal()') IS NOT NULL THEN
        PERFORM drivetrain_seal.seal();
    END IF;
END
$$;
