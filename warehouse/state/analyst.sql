-- The role of analysts: run once by a superuser in the warehouse database, and again after a restore; safe to repeat.
-- What analysts may read, the platform grants itself whenever it builds models. docs/analysts.md says how to add people.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        CREATE ROLE analyst NOLOGIN;
    END IF;
END
$$;

-- Against accidents; a session can set them otherwise, and still has no right to write. Roles do not inherit settings:
-- repeat these for each login role that is made a member.
ALTER ROLE analyst SET default_transaction_read_only = on;
ALTER ROLE analyst SET statement_timeout = '60s';
ALTER ROLE analyst SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE analyst SET temp_file_limit = '2GB';
ALTER ROLE analyst SET search_path = masked;

-- What PostgreSQL lets everybody do: make temporary tables and large objects, hold the platform's advisory locks,
-- write to the log that replicas read. Whoever owns the database or the platform's schema keeps it.
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
        SELECT oid FROM pg_proc
         WHERE pronamespace = 'pg_catalog'::regnamespace
           AND (proname ~ '^pg_(try_)?advisory_' OR proname ~ '^(lo_|lowrite$|loread$)'
                OR proname IN ('pg_logical_emit_message', 'pg_export_snapshot'))
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
