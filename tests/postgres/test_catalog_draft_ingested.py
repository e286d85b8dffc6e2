"""What a draft says can be ingested as it is: values arrive, and a second run finds nothing to do."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo, sql
from test_catalog_draft import NASTY

from demo.servers import Servers
from warehouse.catalog.loader import parse_system
from warehouse.ingest.apply import ingest_table
from warehouse.ingest.snapshot import open_snapshot
from warehouse.postgres.draft import draft_system
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate

ROWS = r"""
INSERT INTO "Users" (id, "eMail", "firstName", status, statuses, "UpdatedAt", "no", "null", "größe", "таблица")
    SELECT gen_random_uuid(), 'e' || i || '@x', 'n', 'it''s "done"', array['new', 'yes, no: {x} # y']::status[],
           '2024-01-01', true, 'a', 3, 'я' FROM generate_series(1, 5) AS i;
INSERT INTO billing.users SELECT i, (SELECT id FROM "Users" LIMIT 1), 'paid', 1.5, array['a']
    FROM generate_series(1, 3) AS i;
INSERT INTO "Sales Dept.".users VALUES (1, array['ä', '']::"Sales Dept."."Odd.Type"[]);
INSERT INTO "Sales Dept."."Order.Items" VALUES (1, 2, NULL);
INSERT INTO "yes" VALUES (1, NULL);
INSERT INTO keyless VALUES (1, NULL, '{}'), (2, NULL, '{}'), (2, NULL, '{}');
INSERT INTO rides SELECT i, '2024-01-15+00'::timestamptz + i * interval '1 day', NULL
    FROM generate_series(-40, 90) AS i;
INSERT INTO yearly VALUES ('2023-05-05', 1);
INSERT INTO hashed SELECT generate_series(1, 9);
INSERT INTO every_type (id, a, b, m, ah, ak) VALUES (1, 'x', 'y', array[now()], array['A']::citext[], now());
INSERT INTO "line
break" (a) VALUES (1);
INSERT INTO "日本語" VALUES ('a', 'b');
INSERT INTO daily VALUES ('2024-01-31 05:00');
INSERT INTO listed VALUES ('eu', 1);
"""


@pytest.fixture
def warehouse(servers: Servers) -> Iterator[str]:
    admin = servers.server("warehouse").dsn("postgres")
    name = sql.Identifier("test_drafted")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield conninfo.make_conninfo(admin, dbname="test_drafted")
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_a_drafted_database_is_ingested(empty_database: str, warehouse: str) -> None:
    source, target = Dsn(empty_database), Dsn(warehouse)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute((NASTY.replace("CREATE UNIQUE INDEX ON keyless (a) WHERE a > 3;", "") + ROWS).encode())
    with connect(source) as reading, connect(target) as writing:
        system = parse_system(draft_system(reading, "nasty"), "nasty.yaml")
        migrate(writing)
    loaded: dict[tuple[str, str], int] = {}
    with open_snapshot(source) as snapshot:
        for name in system.tables:
            first = ingest_table(snapshot, target, system, name)
            again = ingest_table(snapshot, target, system, name)
            assert first.reconciliation.agrees, name
            assert again.rows_written == 0, name
            if first.rows_written:
                loaded[system.source_of(name)] = first.rows_written
    with psycopg.connect(warehouse) as connection:
        people = next(name for name in system.tables if system.source_of(name) == ("public", "Users"))
        row = connection.execute(
            sql.SQL('SELECT status::text, statuses::text[], "größe" FROM raw_nasty.{} LIMIT 1').format(
                sql.Identifier(people)
            )
        ).fetchone()
    assert row == ('it\'s "done"', ["new", "yes, no: {x} # y"], 3)
    assert loaded == {
        ("public", "Users"): 5,
        ("billing", "users"): 3,
        ("Sales Dept.", "users"): 1,
        ("Sales Dept.", "Order.Items"): 1,
        ("public", "yes"): 1,
        ("public", "keyless"): 3,
        ("public", "rides"): 131,
        ("public", "yearly"): 1,
        ("public", "hashed"): 9,
        ("public", "every_type"): 1,
        ("public", "line\nbreak"): 1,
        ("public", "日本語"): 1,
        ("public", "daily"): 1,
        ("public", "listed"): 1,
    }
