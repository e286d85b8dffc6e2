"""The five systems' policies and the databases that their own schemas make agree: no error, and no warning but those
listed here with their reason."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg
import pytest

from demo.generate import fill
from demo.servers import SYSTEMS, Servers
from demo.servers.model import READER
from warehouse.catalog import load_catalog
from warehouse.catalog.loader import SOURCES, parse_system
from warehouse.postgres.contract import check_system
from warehouse.postgres.draft import draft_system
from warehouse.postgres.sessions import Dsn, connect

#: (system, table, field, kind) of warnings that are known and meant, each with its reason.
KNOWN: dict[tuple[str, str, str, str], str] = {}
TODAY = dt.date(2026, 6, 15)


@pytest.fixture(scope="module", params=SYSTEMS)
def filled(request: pytest.FixtureRequest, servers: Servers) -> str:
    """Name of a system whose database has its schema, its partitions and a few rows."""
    system = str(request.param)
    fill(servers.server("operational").dsn(system), system, seed=1, scale=0.01, today=TODAY)
    return system


def reader(servers: Servers, system: str) -> Dsn:
    return Dsn(servers.server("operational").dsn(system, READER), system)


def test_policy_and_database_agree(servers: Servers, filled: str) -> None:
    with connect(reader(servers, filled), read_only=True) as connection:
        findings = check_system(connection, load_catalog().systems[filled])
    unexpected = [str(f) for f in findings if (f.system, f.table, f.field, f.kind) not in KNOWN]
    assert unexpected == []


def test_known_warnings_still_occur(servers: Servers, filled: str) -> None:
    with connect(reader(servers, filled), read_only=True) as connection:
        findings = check_system(connection, load_catalog().systems[filled])
    occurring = {(f.system, f.table, f.field, f.kind) for f in findings if f.severity == "warning"}
    assert {known for known in KNOWN if known[0] == filled} <= occurring


def test_a_forgotten_column_and_table_are_noticed(servers: Servers, filled: str) -> None:
    """The check is not empty: a change of the real database is an error at once."""
    system = load_catalog().systems[filled]
    schema, table = system.source_of(next(iter(system.tables)))
    name = psycopg.sql.Identifier(schema, table)
    with psycopg.connect(servers.server("operational").dsn(filled), autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("ALTER TABLE {} ADD drivetrain_forgotten text").format(name))
        connection.execute("CREATE TABLE drivetrain_forgotten (id int)")
        try:
            with connect(Dsn(servers.server("operational").dsn(filled))) as checking:
                found = {finding.kind for finding in check_system(checking, system) if finding.severity == "error"}
        finally:
            connection.execute("DROP TABLE drivetrain_forgotten")
            connection.execute(psycopg.sql.SQL("ALTER TABLE {} DROP drivetrain_forgotten").format(name))
    assert found == {"undeclared-table", "undeclared-column"}


def test_a_draft_agrees_with_what_people_wrote(servers: Servers, filled: str) -> None:
    """What a draft reads off the database (types, keys, partitions, the person) is what the written policy says."""
    written = load_catalog().systems[filled]
    with connect(reader(servers, filled), read_only=True) as connection:
        drafted = parse_system(draft_system(connection, filled), f"{filled}.yaml")
        findings = check_system(connection, drafted)
    assert {finding.kind for finding in findings} == {"not-reviewed"}
    assert set(drafted.tables) == set(written.tables)
    for name, table in written.tables.items():
        assert set(drafted.tables[name].columns) == set(table.columns), name
        assert set(drafted.tables[name].key) == set(table.key), name
        if drafted.tables[name].partition is not None and table.partition is not None:
            ignored = {"premake", "grow_to", "drift"}
            assert drafted.tables[name].partition.model_dump(exclude=ignored) == table.partition.model_dump(
                exclude=ignored
            )
    if written.person is not None and drafted.person is not None:
        assert (drafted.person.table, drafted.person.key) == (written.person.table, written.person.key)


def test_each_system_has_a_policy() -> None:
    assert {path.stem for path in Path(SOURCES).glob("*.yaml")} == set(SYSTEMS)
