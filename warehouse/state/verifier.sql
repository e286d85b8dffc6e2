-- The role of who verifies that an erased person is nowhere: run once by a superuser in the warehouse database, and again
-- after a restore; safe to repeat. It reads everything, in every database of the cluster that it may connect to, what the
-- server keeps of rows in its statistics included, and writes nothing. Members are logins that do nothing else:
--     CREATE ROLE proof LOGIN BYPASSRLS PASSWORD ...; GRANT drivetrain_verifier TO proof;
--     ALTER ROLE proof SET default_transaction_read_only = on;
-- (neither BYPASSRLS nor settings are inherited). Its address is DRIVETRAIN_VERIFIER_DSN. It must not be a member of the
-- roles of officers or of the platform: whoever erases does not say that it is done.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'drivetrain_verifier') THEN
        CREATE ROLE drivetrain_verifier NOLOGIN;
    END IF;
END
$$;
GRANT pg_read_all_data, pg_read_all_stats TO drivetrain_verifier;

-- What PostgreSQL lets everybody write: temporary tables, large objects, and objects of schema public.
DO $$
DECLARE
    owner name;
    function regprocedure;
    owners name[] := ARRAY(
        SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()
        UNION SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'platform'
    );
BEGIN
    EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    FOREACH owner IN ARRAY owners LOOP
        EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO %I', current_database(), owner);
    END LOOP;
    FOR function IN
        SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(lo_|lowrite$|loread$)'
    LOOP
        IF has_function_privilege('public', function, 'EXECUTE') THEN
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function);
        END IF;
        FOREACH owner IN ARRAY owners LOOP
            IF NOT has_function_privilege(owner, function, 'EXECUTE') THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', function, owner);
            END IF;
        END LOOP;
    END LOOP;
END
$$;
