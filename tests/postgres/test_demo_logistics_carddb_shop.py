"""The generated databases of logistics, carddb and shop: repeatable, complete, consistent, as their catalog says.

What does not belong here: the runner's transaction and its errors, and real data.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from demo.generate import change, fill
from warehouse.catalog import load_catalog
from warehouse.catalog.model import HashPartition, RangePartition

SYSTEMS = ("logistics", "carddb", "shop")
TODAY = dt.date(2026, 7, 1)  # the thirty months before it are the shortest there are
MIDNIGHT = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
SCALE = 0.01

MakeDatabase = Callable[[], str]


@pytest.fixture(scope="module")
def databases(make_database: MakeDatabase) -> dict[str, str]:
    """The systems, filled once and not changed by any test."""
    made = {system: make_database() for system in SYSTEMS}
    for system, dsn in made.items():
        fill(dsn, system, seed=7, scale=SCALE, today=TODAY)
    return made


def query(dsn: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        return connection.execute(text.encode()).fetchall()


def content(dsn: str, system: str) -> dict[str, tuple[Any, ...]]:
    """Per table, the number of its rows and one digest over all of them."""
    digest = "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text COLLATE \"C\")) FROM {} AS t"
    tables = load_catalog().systems[system].tables
    return {table: query(dsn, digest.format(table))[0] for table in tables}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_same_parameters_give_the_same_rows_and_another_seed_others(
    databases: dict[str, str], make_database: MakeDatabase, system: str
) -> None:
    again, other = make_database(), make_database()
    fill(again, system, seed=7, scale=SCALE, today=TODAY)
    fill(other, system, seed=8, scale=SCALE, today=TODAY)
    first = content(databases[system], system)
    assert content(again, system) == first
    different = content(other, system)
    assert [table for table in first if first[table] == different[table]] == []
    assert [table for table, (count, _) in first.items() if count == 0] == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_two_databases_stay_equal_through_the_same_rounds(make_database: MakeDatabase, system: str) -> None:
    twins = make_database(), make_database()
    touched = []
    for dsn in twins:
        fill(dsn, system, seed=5, scale=SCALE, today=TODAY)
        before = content(dsn, system)
        touched.append([change(dsn, system, seed=5, round=number) for number in (1, 2, 3)])
        untouched = [table for table, rows in content(dsn, system).items() if rows == before[table]]
        assert untouched == (["vendors", "shops"] if system == "shop" else [])
    assert touched[0] == touched[1]
    assert content(twins[0], system) == content(twins[1], system)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_catalog_declares_every_table_and_column_with_its_type(databases: dict[str, str], system: str) -> None:
    live: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in query(
        databases[system],
        """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum
        """,
    ):
        live.setdefault(table, []).append((column, kind))
    tables = load_catalog().systems[system].tables
    assert {name: [(column, c.type) for column, c in table.columns.items()] for name, table in tables.items()} == live
    assert [f"{n}.{c}" for n, t in tables.items() for c, column in t.columns.items() if not column.description] == []
    for name, table in tables.items():
        key = query(
            databases[system],
            "SELECT array_agg(attname::text) FROM pg_index"
            " JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)"
            f" WHERE indrelid = '{name}'::regclass AND indisprimary",
        )
        assert set(key[0][0]) == set(table.key), name


@pytest.mark.parametrize("system", SYSTEMS)
def test_partitions_have_the_declared_names_and_bounds_in_utc(databases: dict[str, str], system: str) -> None:
    for name, table in load_catalog().systems[system].tables.items():
        children = dict(
            query(
                databases[system],
                "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)"
                " FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid"
                f" WHERE inhparent = '{name}'::regclass",
            )
        )
        match table.partition:
            case RangePartition(name=pattern):
                months = [(2024 + m // 12, m % 12 + 1) for m in range(34)]  # January 2024 to October 2026
                expected = {
                    pattern.format(table=name, year=f"{y:04}", month=f"{m:02}"): (
                        f"FOR VALUES FROM ('{y:04}-{m:02}-01 00:00:00+00')"
                        f" TO ('{y + m // 12:04}-{m % 12 + 1:02}-01 00:00:00+00')"
                    )
                    for y, m in months
                }
                assert children == expected
            case HashPartition(name=pattern, modulus=modulus):
                assert children == {
                    pattern.format(table=name, remainder=r): f"FOR VALUES WITH (modulus {modulus}, remainder {r})"
                    for r in range(modulus)
                }
            case _:
                assert children == {}


def test_every_hash_partition_of_the_ledger_is_used(databases: dict[str, str]) -> None:
    used = query(databases["logistics"], "SELECT tableoid::regclass::text FROM wallet_ledger GROUP BY 1 ORDER BY 1")
    assert used == [(f"wallet_ledger_p{r}",) for r in range(4)]


@pytest.mark.parametrize("system", SYSTEMS)
def test_rows_stand_at_the_edges_of_months(databases: dict[str, str], system: str) -> None:
    table, column = {
        "logistics": ("location_logs", "created_at"),
        "carddb": ("price_observations", "observed_at"),
        "shop": ("orders", "created_at"),
    }[system]
    first, last = query(
        databases[system],
        f"SELECT count(*) FILTER (WHERE {column} = date_trunc('month', {column})),"
        f" count(*) FILTER (WHERE extract(day FROM {column} + interval '1 microsecond') = 1"
        f" AND extract(day FROM {column}) > 1)"
        f" FROM {table}",
    )[0]
    assert first > 0
    assert last > 0


@pytest.mark.parametrize("system", SYSTEMS)
def test_history_is_in_the_past_and_quality_rules_hold(databases: dict[str, str], system: str) -> None:
    """Of each rule that the catalog states for errors, no row is an exception."""
    future = {"expires_on", "estimated_delivery_at", "shipping_limit_at"}
    broken: list[str] = []
    tables = load_catalog().systems[system].tables
    for name, table in tables.items():
        for column, declared in table.columns.items():
            if declared.type.startswith("timestamp") and column not in future:
                latest = query(databases[system], f"SELECT max({column}) FROM {name}")[0][0]
                if latest is not None and latest > MIDNIGHT:
                    broken.append(f"{name}.{column} is at {latest}")
        for column, rule in table.quality.items():
            wrong: list[str] = []
            if rule.not_null:
                wrong.append(f"{column} IS NULL")
            if rule.between:
                wrong.append(f"{column} NOT BETWEEN {rule.between[0]} AND {rule.between[1]}")
            if rule.among:
                wrong.append(f"{column}::text <> ALL (ARRAY{list(rule.among)})")
            if rule.matches:
                wrong.append(f"{column} !~ '{rule.matches}'")
            if rule.not_before:
                wrong.append(f"{column} < {rule.not_before}")
            if rule.within and rule.of:
                wrong.append(f"abs(extract(epoch FROM {column} - {rule.of})) > 86400")
                assert str(rule.within) == "1 day"
            if rule.references:
                other, _, to = rule.references.partition(".")
                wrong.append(
                    f"{column} IS NOT NULL AND NOT EXISTS (SELECT FROM {other} AS o WHERE o.{to} = t.{column})"
                )
            for condition in wrong:
                count = query(databases[system], f"SELECT count(*) FROM {name} AS t WHERE {condition}")[0][0]
                if count:
                    broken.append(f"{name}: {count} rows with {condition}")
    assert broken == []


def test_the_shop_adds_up(databases: dict[str, str]) -> None:
    dsn = databases["shop"]
    differing = """
        SELECT count(*) FROM orders LEFT JOIN (SELECT order_id, sum(unit_price * quantity + freight) AS total
            FROM order_items GROUP BY order_id) AS items ON order_id = id WHERE total_amount <> coalesce(total, 0)
    """
    assert query(dsn, differing) == [(0,)]
    paid = """
        SELECT count(*) FROM orders LEFT JOIN (SELECT order_id, sum(amount) AS paid
            FROM payments GROUP BY order_id) AS p ON order_id = id WHERE total_amount <> coalesce(paid, 0)
    """
    assert query(dsn, paid) == [(0,)]
    shape = """
        SELECT count(*) FILTER (WHERE items IS NULL) > 0, count(*) FILTER (WHERE shops > 1) > 0
        FROM orders LEFT JOIN (SELECT order_id, count(*) AS items, count(DISTINCT shop_id) AS shops FROM order_items
            GROUP BY order_id) AS i ON order_id = id
    """
    assert query(dsn, shape) == [(True, True)]
    assert query(dsn, "SELECT count(*) > count(DISTINCT unique_id) FROM customers") == [(True,)]


def test_the_ledger_has_the_earning_of_every_delivered_order(databases: dict[str, str]) -> None:
    dsn = databases["logistics"]
    missing = """
        SELECT count(*) FROM orders LEFT JOIN wallet_ledger AS l
            ON l.order_id = orders.id AND l.entry_type = 'earning' AND l.rider_id = orders.rider_id
            AND amount = delivery_fee
        WHERE status = 'delivered' AND l.id IS NULL
    """
    assert query(dsn, missing) == [(0,)]
    statuses = {status for (status,) in query(dsn, "SELECT DISTINCT status::text FROM orders")}
    assert {"delivered", "cancelled"} <= statuses


def test_few_riders_make_most_trips(databases: dict[str, str]) -> None:
    ranked = [
        n for (n,) in query(databases["logistics"], "SELECT count(*) FROM orders GROUP BY rider_id ORDER BY 1 DESC")
    ]
    assert sum(ranked[: len(ranked) // 5]) > sum(ranked) / 3


def test_documents_lie_where_erasure_looks_for_them(databases: dict[str, str]) -> None:
    buckets = {
        "pan-documents", "aadhaar-documents", "dl-documents", "rc-documents", "selfie-images", "proof-documents",
    }  # fmt: skip
    found = query(
        databases["logistics"], "SELECT rider_id, document_type::text, bucket, object_key FROM rider_documents"
    )
    assert {row[2] for row in found} <= buckets
    assert all(re.fullmatch(rf"{rider}/{kind}/[^/]+", key) for rider, kind, _, key in found)


def test_a_rider_sees_only_their_own_documents(databases: dict[str, str]) -> None:
    with psycopg.connect(databases["logistics"]) as connection:
        total = connection.execute("SELECT count(*) FROM rider_documents").fetchone()
        connection.execute("SET ROLE logistics_app")
        assert connection.execute("SELECT count(*) FROM rider_documents").fetchone() == (0,)
        connection.execute("SET app.rider_id = '1'")
        assert connection.execute("SELECT DISTINCT rider_id FROM rider_documents").fetchall() == [(1,)]
        connection.execute("RESET ROLE")
        connection.execute("SET ROLE drivetrain_reader")
        assert connection.execute("SELECT count(*) FROM rider_documents").fetchone() == total


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_round_writes_late_rows_updates_and_deletes(make_database: MakeDatabase, system: str) -> None:
    dsn = make_database()
    fill(dsn, system, seed=7, scale=0.1, today=TODAY)
    facts, late, deletes = {
        "logistics": ("location_logs", "created_at", "rider_documents"),
        "carddb": ("price_observations", "observed_at", "collection_items"),
        "shop": ("orders", "created_at", "reviews"),
    }[system]
    ids = {row[0] for row in query(dsn, f"SELECT id FROM {facts}")}
    deletable = {row[0] for row in query(dsn, f"SELECT id FROM {deletes}")}
    change(dsn, system, seed=7, round=1)
    new = [at for id, at in query(dsn, f"SELECT id, {late} FROM {facts}") if id not in ids]
    assert any(at > MIDNIGHT for at in new)
    assert any(at < MIDNIGHT - dt.timedelta(days=31) for at in new)
    assert deletable - {row[0] for row in query(dsn, f"SELECT id FROM {deletes}")}
    mutable = [n for n, t in load_catalog().systems[system].tables.items() if t.ingest.cursor]
    assert mutable
    for table in mutable:
        assert query(dsn, f"SELECT max(updated_at) > '{MIDNIGHT}' FROM {table}") == [(True,)], table


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_application_goes_on_with_the_next_id(make_database: MakeDatabase, system: str) -> None:
    dsn = make_database()
    fill(dsn, system, seed=7, scale=SCALE, today=TODAY)
    identities = query(
        dsn,
        "SELECT c.relname, pg_get_serial_sequence(c.relname, a.attname)"
        " FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = attrelid WHERE attidentity <> ''"
        " AND relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace",
    )
    assert identities
    for table, sequence in identities:
        assert query(dsn, f"SELECT nextval('{sequence}') = 1 + max(id) FROM {table}") == [(True,)], table
