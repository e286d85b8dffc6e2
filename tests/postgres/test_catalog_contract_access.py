"""The contract by sessions that may do less: a role that does not see everything, and a replica.

What does not belong here: findings that any session makes (``test_catalog_contract``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo
from small_system import POLICY, check

from demo.servers import Servers
from warehouse.catalog.loader import parse_system
from warehouse.postgres.contract import check_system
from warehouse.postgres.sessions import Dsn, connect


@pytest.fixture
def guest(small: psycopg.Connection, empty_database: str) -> Iterator[str]:
    """Connection string of a role that may read what it was granted."""
    small.execute("CREATE ROLE contract_guest LOGIN PASSWORD 'guest'")
    small.execute(
        "GRANT USAGE ON SCHEMA public TO contract_guest; GRANT SELECT ON ALL TABLES IN SCHEMA public TO contract_guest"
    )
    yield conninfo.make_conninfo(empty_database, user="contract_guest", password="guest")
    small.execute("DROP OWNED BY contract_guest; DROP ROLE contract_guest")


def test_rows_that_are_hidden_from_the_role_are_found(small: psycopg.Connection, guest: str) -> None:
    assert check(guest) == []
    small.execute("ALTER TABLE cities ENABLE ROW LEVEL SECURITY")
    (found,) = check(guest)
    assert (found.kind, found.table, found.severity) == ("hidden-rows", "cities", "error")
    assert "ALTER ROLE contract_guest BYPASSRLS" in found.hint
    small.execute("ALTER ROLE contract_guest BYPASSRLS")
    assert check(guest) == []


def test_a_table_that_the_role_may_not_read_is_found(small: psycopg.Connection, guest: str) -> None:
    small.execute("REVOKE SELECT ON cities FROM contract_guest")
    (found,) = check(guest)
    assert (found.kind, found.table, found.severity) == ("unreadable", "cities", "error")
    assert "GRANT SELECT ON public.cities TO contract_guest" in found.hint


def test_the_check_works_on_a_replica_and_changes_nothing(
    servers: Servers, empty_database: str, small: psycopg.Connection
) -> None:
    small.execute("ALTER TABLE cities SET UNLOGGED")
    name = conninfo.conninfo_to_dict(empty_database)["dbname"]
    row = small.execute("SELECT pg_current_wal_lsn()").fetchone()
    assert row is not None
    replica = servers.server("replica").dsn(str(name))
    admin = servers.server("replica").dsn("postgres")
    for _ in range(100):
        with psycopg.connect(admin) as waiting:
            done = waiting.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", row).fetchone()
        if done == (True,):
            break
        time.sleep(0.1)
    with connect(Dsn(replica), read_only=True) as connection:
        assert check_system(connection, parse_system(POLICY, "small.yaml")) == []
