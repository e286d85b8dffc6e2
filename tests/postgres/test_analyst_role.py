"""What the role of analysts can do, tried as that role on a built warehouse.

What belongs here: attempts to reach what is not theirs, and the work that they must be able to do. What does not: what
masked columns show (``test_masked_views``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from analysts import Warehouse
from psycopg import conninfo, errors, sql

from demo.servers import Servers


@pytest.fixture
def analyst(modelled: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    """A session that took back the role's own settings, as anybody can."""
    with psycopg.connect(modelled.analyst, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        yield connection


@pytest.fixture
def platform(modelled: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(modelled.platform, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    "attempt",
    [
        # What is unmasked, and the platform's own.
        "SELECT name FROM marts.rider_leaderboard",
        "SELECT mobile FROM staging.stg_logistics__riders",
        "SELECT FROM intermediate.int_rider_months",
        "SELECT FROM raw_logistics.riders",
        "SELECT FROM raw_logistics.riders__changes",
        "SELECT FROM platform.load",
        "TABLE platform.published",
        "SELECT value FROM platform.restriction",
        "TABLE platform.restricted",
        # The key, and what could be asked with it.
        "SELECT inner_pad FROM platform.masking_key",
        "SELECT platform.renew_masking_key()",
        "SELECT platform.pseudonym('logistics.person', '1', '', '')",
        "SELECT platform.hmac_sha256('', '', '')",
        "SELECT query_to_xml('SELECT * FROM platform.masking_key', false, false, '')",
        "DO $$ BEGIN PERFORM inner_pad FROM platform.masking_key; END $$",
        "COPY platform.masking_key TO STDOUT",
        # Another role.
        "SET ROLE drivetrain",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION drivetrain",
        "GRANT drivetrain TO analyst",
        "ALTER ROLE analyst SUPERUSER",
        "CREATE ROLE another",
        # Anything of their own, from which a trap could be made.
        "CREATE SCHEMA own",
        "CREATE TABLE public.own (i int)",
        "CREATE TABLE masked.own (i int)",
        "CREATE VIEW masked.own AS SELECT 1 AS one",
        "CREATE TEMPORARY TABLE own (i int)",
        "CREATE TEMPORARY VIEW own AS SELECT * FROM masked.rider_leaderboard",
        "CREATE FUNCTION masked.own() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE FUNCTION pg_temp.own() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE EXTENSION dblink",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        # Writing, and replacing.
        "UPDATE masked.rider_leaderboard SET city = 'x'",
        "INSERT INTO masked.most_collected_cards (card_id) VALUES (1)",
        "DELETE FROM masked.shop_analytics",
        "CREATE OR REPLACE VIEW masked.shop_analytics AS SELECT 1 AS one",
        "ALTER VIEW masked.rider_leaderboard SET (security_invoker = false)",
        "COMMENT ON VIEW masked.rider_leaderboard IS 'mine'",
        "SELECT FROM masked.shop_analytics FOR UPDATE",
        # The server and its files.
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT pg_ls_dir('.')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/tmp/own'",
        "SELECT lo_import('/etc/hostname')",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "SELECT pg_reload_conf()",
        "SELECT rolpassword FROM pg_authid",
        "SELECT FROM pg_statistic",
        # The platform's work: its locks, its sessions, its replicas.
        "SELECT pg_advisory_lock(hashtextextended('drivetrain migrations', 0))",
        "SELECT pg_try_advisory_xact_lock_shared(1)",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'drivetrain'",
        "SELECT pg_logical_emit_message(false, 'x', 'x')",
        "SELECT pg_create_physical_replication_slot('own')",
        "DO $$ BEGIN LOCK TABLE masked.rider_leaderboard IN ACCESS EXCLUSIVE MODE; END $$",
    ],
)
@pytest.mark.usefixtures("platform")  # a session to be ended
def test_an_analyst_cannot(analyst: psycopg.Connection[Any], attempt: LiteralString) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        analyst.execute(attempt)


def test_nothing_but_masked_is_granted(analyst: psycopg.Connection[Any]) -> None:
    """Whatever there is and will be: by every object's privileges, not by name."""
    system = "nspname IN ('pg_catalog', 'information_schema')"
    schemas = analyst.execute(
        f"SELECT nspname FROM pg_namespace WHERE NOT ({system}) AND has_schema_privilege(oid, 'USAGE')"
    ).fetchall()
    assert {name for (name,) in schemas} == {"masked", "public"}
    relations = analyst.execute(
        f"""
        SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE NOT ({system}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
        """
    ).fetchall()
    assert {schema for schema, _ in relations} == {"masked"}
    writable = """
        SELECT relname FROM pg_class WHERE relnamespace = 'masked'::regnamespace
           AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, MAINTAIN')
    """
    assert analyst.execute(writable).fetchall() == []
    assert analyst.execute("SELECT FROM pg_auth_members WHERE member = 'analyst'::regrole").fetchall() == []


def test_the_planner_tells_nothing_of_what_is_masked(
    analyst: psycopg.Connection[Any], platform: psycopg.Connection[Any]
) -> None:
    platform.execute("ANALYZE")
    told = analyst.execute(
        "SELECT DISTINCT schemaname FROM pg_stats WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    assert told == [], "most common values of tables that they cannot read"
    secrets = platform.execute(
        """
        SELECT encode(inner_pad, 'hex'), encode(outer_pad, 'hex'), r.name, r.mobile
        FROM platform.masking_key, (SELECT name, mobile FROM staging.stg_logistics__riders LIMIT 1) AS r
        """
    ).fetchone()
    assert secrets is not None
    plan = analyst.execute(
        "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM masked.stg_logistics__riders"
        " WHERE length(cast(mobile AS text)) > 1 AND name IS NULL AND age > 1"
    ).fetchall()
    assert not [word for word in secrets if word in str(plan)]


@pytest.mark.parametrize("column", ["id", "mobile", "last_ip"])
def test_an_error_tells_only_what_the_view_shows(
    analyst: psycopg.Connection[Any], platform: psycopg.Connection[Any], column: str
) -> None:
    """A condition is given masked values, also where the planner moves it down to the table."""
    name = sql.Identifier(column)
    view = sql.Identifier("masked", "stg_logistics__riders")
    shown = {str(value) for (value,) in analyst.execute(sql.SQL("SELECT {} FROM {}").format(name, view))}
    with pytest.raises(errors.InvalidTextRepresentation) as refused:
        analyst.execute(
            sql.SQL("SELECT FROM {view} WHERE cast('n' || cast({name} AS text) AS int) = 1").format(
                view=view, name=name
            )
        )
    assert str(refused.value).split('"')[1].removeprefix("n") in shown


def test_queries_of_others_are_not_shown(analyst: psycopg.Connection[Any], platform: psycopg.Connection[Any]) -> None:
    platform.execute("SELECT 'of somebody'")
    query = "SELECT query FROM pg_stat_activity WHERE usename = 'drivetrain' AND datname = current_database()"
    assert {text for (text,) in analyst.execute(query)} == {"<insufficient privilege>"}


@pytest.mark.parametrize("database", ["dagster", "postgres"])
def test_no_other_database_lets_an_analyst_in(servers: Servers, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(conninfo.make_conninfo(servers.analyst_dsn(), dbname=database))


def test_sessions_begin_read_only_and_with_limits(modelled: Warehouse) -> None:
    with psycopg.connect(modelled.analyst, autocommit=True) as connection:
        shown = {
            setting: connection.execute(sql.SQL("SHOW {}").format(sql.Identifier(setting))).fetchone()
            for setting in ("default_transaction_read_only", "statement_timeout", "temp_file_limit", "search_path")
        }
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE public.own (i int)")
        # A limit that only a superuser may lift.
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("SET temp_file_limit = -1")
    assert shown == {
        "default_transaction_read_only": ("on",),
        "statement_timeout": ("1min",),
        "temp_file_limit": ("2GB",),
        "search_path": ("masked",),
    }


def test_an_analyst_can_read_everything_in_masked_with_its_descriptions(
    modelled: Warehouse, analyst: psycopg.Connection[Any]
) -> None:
    for name, node in modelled.models().items():
        analyst.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(sql.Identifier("masked", name)))
        comment = analyst.execute("SELECT obj_description(%s::regclass)", [f"masked.{name}"]).fetchone()
        assert comment == (node["description"].strip(),)
    comments = analyst.execute(
        "SELECT col_description('masked.rider_leaderboard'::regclass, attnum) FROM pg_attribute"
        " WHERE attrelid = 'masked.rider_leaderboard'::regclass AND attname IN ('rider_id', 'name') ORDER BY attname"
    ).fetchall()
    assert [comment.split("[")[-1] for (comment,) in comments] == [
        "masked: name, always NULL]",
        "masked: person_id, pseudonym of the person]",
    ]


def test_an_analyst_sees_how_current_each_mart_is(modelled: Warehouse, analyst: psycopg.Connection[Any]) -> None:
    marts = {name for name, node in modelled.models().items() if node["schema"] == "marts"}
    rows = analyst.execute("SELECT model, as_of <= published_at, verified_through IS NOT NULL, tiers FROM published")
    found = {model: tuple(rest) for model, *rest in rows}
    assert {mart: found.get(mart) for mart in marts} == dict.fromkeys(marts, (True, True, ["warehouse"]))


def test_a_login_of_ones_own_is_a_member(modelled: Warehouse, servers: Servers) -> None:
    """As docs/analysts.md says: for each person or tool a login role that is a member of `analyst`."""
    parameters = conninfo.conninfo_to_dict(modelled.analyst)
    admin = conninfo.make_conninfo(servers.server("warehouse").dsn("postgres"), dbname=parameters["dbname"])
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE ROLE test_asha LOGIN PASSWORD 'a long one' IN ROLE analyst")
        try:
            own = conninfo.make_conninfo(modelled.analyst, user="test_asha", password="a long one")
            with psycopg.connect(own, autocommit=True) as asha:
                assert asha.execute("SELECT count(*) > 0 FROM masked.rider_leaderboard").fetchone() == (True,)
                with pytest.raises(errors.InsufficientPrivilege):
                    asha.execute("SELECT FROM marts.rider_leaderboard")
        finally:
            connection.execute("DROP ROLE test_asha")
