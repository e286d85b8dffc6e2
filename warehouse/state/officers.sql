-- The roles of those who handle requests of persons: run once by a superuser in the warehouse database, and again after a
-- restore; safe to repeat, before or after the first migration. Members are people's own logins:
--     CREATE ROLE asha LOGIN PASSWORD ...; GRANT drivetrain_requester TO asha;
-- requester: files requests, confirms whom they are about. approver: approves the plans of others, denies, releases holds.
-- operator: carries approved plans out (the platform itself). auditor: reads.
DO $$
DECLARE
    officer text;
BEGIN
    FOREACH officer IN ARRAY ARRAY['requester', 'approver', 'operator', 'auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'drivetrain_' || officer) THEN
            EXECUTE format('CREATE ROLE drivetrain_%s NOLOGIN', officer);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'drivetrain_recorder') THEN
        CREATE ROLE drivetrain_recorder NOLOGIN;  -- owns what nobody may change: it has no members
    END IF;
    EXECUTE format('GRANT drivetrain_operator TO %I',
                   (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()));
END
$$;

-- The audit log and the approvals go to a role that nobody is; whoever works with them may read, and add by function.
CREATE SCHEMA IF NOT EXISTS drivetrain_seal;
CREATE OR REPLACE FUNCTION drivetrain_seal.seal() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    platform_owner name := (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'platform');
    kept record;
    reader name;
BEGIN
    GRANT USAGE ON SCHEMA platform TO drivetrain_recorder;
    GRANT SELECT ON platform.erasure_subject, platform.erasure_plan TO drivetrain_recorder;
    GRANT SELECT, UPDATE ON platform.erasure_request TO drivetrain_recorder;
    GRANT EXECUTE ON FUNCTION platform.move_request(bigint, text, jsonb) TO drivetrain_recorder;
    ALTER SCHEMA audit OWNER TO drivetrain_recorder;
    FOR kept IN SELECT format('%I.%I', 'audit', relname) AS name FROM pg_class
                 WHERE relnamespace = 'audit'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO drivetrain_recorder', kept.name);
        EXECUTE format('REVOKE ALL ON %s FROM %I', kept.name, platform_owner);
    END LOOP;
    FOR kept IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'audit'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO drivetrain_recorder', kept.name);
    END LOOP;
    FOREACH reader IN ARRAY ARRAY[platform_owner, 'drivetrain_requester', 'drivetrain_approver', 'drivetrain_operator',
                                  'drivetrain_auditor'] LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA audit TO %I', reader);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA audit TO %I', reader);
    END LOOP;
    EXECUTE format('GRANT EXECUTE ON FUNCTION audit.note(text, bigint, jsonb), audit.certify(bigint, text, bytea) TO %I',
                   platform_owner);
    GRANT EXECUTE ON FUNCTION audit.approve(bigint, bytea, interval) TO drivetrain_approver;
END
$$;
REVOKE ALL ON FUNCTION drivetrain_seal.seal() FROM PUBLIC;
DO $$
DECLARE
    owner name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database());
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA drivetrain_seal TO %I', owner);
    EXECUTE format('GRANT EXECUTE ON FUNCTION drivetrain_seal.seal() TO %I', owner);
    IF to_regprocedure('platform.let_officers_act()') IS NOT NULL THEN
        PERFORM drivetrain_seal.seal();
        PERFORM platform.let_officers_act();
    END IF;
    IF to_regprocedure('platform.let_officers_restrict()') IS NOT NULL THEN
        PERFORM platform.let_officers_restrict();
    END IF;
    IF to_regprocedure('platform.let_officers_export()') IS NOT NULL THEN
        PERFORM platform.let_officers_export();
    END IF;
END
$$;
