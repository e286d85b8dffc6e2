"""A column that is added while months are on their way, or long after: each month is what it was, with NULL there."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aging import AT as EXPIRED
from aging import declare, young
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingesting import Bench
from tiering import AT, LATER, TIERS, TYPES, everywhere, move, moved, places, plan, proven, tier

from warehouse.catalog.model import Catalog
from warehouse.errors import CatalogMismatch
from warehouse.lake.columns import lake_columns
from warehouse.lake.content import content_on_server
from warehouse.lake.store import Store
from warehouse.postgres.carriage import Carriage, CarriedColumn
from warehouse.postgres.sessions import Dsn, connect
from warehouse.reading.query import run_query
from warehouse.retention.apply import expire_table
from warehouse.tiering.cooling import Cooling
from warehouse.tiering.leaving import Leaving
from warehouse.tiering.rehydrating import Request, rehydrate_table

DAY = dt.timedelta(days=1)
JANUARY = dt.date(2024, 1, 1)


@pytest.fixture
def lake(tmp_path: Path) -> Store:
    return Store(tmp_path.as_uri())


@pytest.fixture
def facts(facts: Bench) -> Bench:
    tier(facts, TIERS)
    facts.ingest("facts")
    return facts


def add_column(facts: Bench, name: str = "w", **policy: Any) -> None:
    """With a value in each row that the source has still."""
    facts.source(f"ALTER TABLE facts ADD {name} text DEFAULT 'here'")
    declare(facts, TIERS) if policy.get("retention") else tier(facts, TIERS)
    facts.ingest("facts")


def asked(facts: Bench, lake: Store, query: str) -> list[dict[str, Any]]:
    with connect(facts.pair.target, read_only=True) as connection:
        return run_query(
            connection, facts.pair.target, Catalog(systems={facts.name: facts.system}), lake,
            query.format(f"{facts.name}.facts"),
        ).rows.to_pylist()  # fmt: skip


class CutOff(BaseException):
    """A process that ends."""


#: Where a run ends before the column is added, and the move's state by then.
POINTS: dict[str, tuple[type[Any], str, dt.datetime]] = {
    "detached": (Leaving, "_settle", AT),
    "exported": (Cooling, "_verify", LATER),
    "verified": (Cooling, "_flip", LATER),
}


@pytest.mark.parametrize("state", POINTS)
def test_a_run_that_was_cut_off_goes_on(facts: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    owner, method, at = POINTS[state]
    before = everywhere(facts, lake)
    if state != "detached":
        moved(facts, lake)

    def cut_off(*_: object) -> None:
        raise CutOff

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, cut_off)
        with pytest.raises(CutOff):
            moved(facts, lake, at)
    under_way = f"WHERE system = '{facts.name}' AND state NOT IN ('flipped', 'dropped')"
    assert facts.warehouse(f"SELECT state FROM platform.tier_move {under_way}") == [(state,)]
    add_column(facts)
    assert [kind for kind, _ in proven(facts, lake)] == ["unfinished"]
    moved(facts, lake, LATER)
    assert plan(facts, lake, LATER) == []
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []


def test_what_is_kept_is_dropped_by_what_it_was(facts: Bench, lake: Store) -> None:
    before = everywhere(facts, lake)
    assert [done.failure for done in move(facts, lake, keep=7 * DAY)] == [None]
    add_column(facts)
    assert proven(facts, lake) == []
    assert plan(facts, lake, AT + 8 * DAY) == [("drop", "2024-01")]
    moved(facts, lake, AT + 8 * DAY)
    later = move(facts, lake, LATER, keep=7 * DAY)
    assert [(done.step.kind, done.failure) for done in later] == [("leave", None), ("leave", None), ("cool", None)]
    add_column(facts, "x")
    assert proven(facts, lake) == []
    moved(facts, lake, LATER + 8 * DAY)
    assert proven(facts, lake) == []
    assert everywhere(facts, lake) == before
    assert facts.warehouse(f"SELECT DISTINCT state FROM platform.tier_move WHERE system = '{facts.name}'") == [
        ("dropped",)
    ]


def test_a_month_of_the_lake_has_null_there_wherever_it_is_read(facts: Bench, lake: Store) -> None:
    before = everywhere(facts, lake)
    moved(facts, lake, LATER)
    add_column(facts)
    assert proven(facts, lake) == []
    assert asked(facts, lake, "SELECT count(*) AS n, count(w) AS w FROM {}") == [{"n": 360, "w": 0}]
    request = Request([JANUARY], LATER + DAY, "asked for", 10**9)
    assert [each.rows for each in rehydrate_table(places(facts, lake), facts.system, "facts", request)] == [124]
    assert facts.warehouse("SELECT count(*), count(w) FROM {raw}.facts") == [(124, 0)]
    assert proven(facts, lake) == []
    moved(facts, lake, LATER + 2 * DAY)
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []
    assert asked(facts, lake, "SELECT count(*) AS n, count(w) AS w FROM {}") == [{"n": 360, "w": 0}]
    table = DeltaTable(lake.under(facts.name, "facts").url)
    assert "w" in [field.name for field in table.schema().fields]  # whoever reads it elsewhere has the column


@pytest.mark.parametrize("at", [AT, LATER])
def test_late_rows_bring_their_values(facts: Bench, lake: Store, at: dt.datetime) -> None:
    """Into a month of the warehouse, and into one that comes back from the lake for it."""
    moved(facts, lake, at)
    add_column(facts)
    facts.source("INSERT INTO facts VALUES (9001, '2024-01-05 10:00+00', 'late', 'late too')")
    facts.source("INSERT INTO facts VALUES (3, '2024-01-01 18:00+00', 'again', 'corrected')")
    facts.ingest("facts")
    moved(facts, lake, at)
    query = "SELECT id, v, w FROM {} WHERE w IS NOT NULL AND at < '2024-02-01' ORDER BY id"
    assert asked(facts, lake, query) == [
        {"id": 3, "v": "again", "w": "corrected"}, {"id": 9001, "v": "late", "w": "late too"},
    ]  # fmt: skip
    assert proven(facts, lake) == []
    add_column(facts, "x")
    assert proven(facts, lake) == []
    moved(facts, lake, LATER)
    assert len(asked(facts, lake, query)) == 2
    assert plan(facts, lake, LATER) == []
    assert proven(facts, lake) == []


def test_rows_expire_out_of_files_that_lack_it(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    rows = everywhere(facts, lake)
    moved(facts, lake, LATER)
    add_column(facts, retention=True)
    done = expire_table(places(facts, lake), facts.system, "facts", EXPIRED)
    assert [each.failure for each in done] == [None] * len(done)
    assert everywhere(facts, lake) == young(rows)
    assert proven(facts, lake) == []
    facts.source("ALTER TABLE facts ADD x int")
    declare(facts, TIERS)
    facts.ingest("facts")
    assert proven(facts, lake) == []
    assert asked(facts, lake, "SELECT count(x) AS x, count(w) AS w FROM {}") == [{"x": 0, "w": 0}]


def test_what_was_altered_is_still_told(facts: Bench, lake: Store) -> None:
    """A value in the new column of a row that had none, and one lost from an old column."""
    moved(facts, lake)
    add_column(facts)
    facts.warehouse("UPDATE {raw}.facts SET w = 'forged' WHERE id = 3")
    assert proven(facts, lake) == [("altered", "2024-01")]
    facts.warehouse("UPDATE {raw}.facts SET w = NULL, v = NULL WHERE id = 3")
    assert proven(facts, lake) == [("altered", "2024-01")]
    facts.warehouse("UPDATE {raw}.facts SET v = 'v3' WHERE id = 3")
    assert proven(facts, lake) == []


def test_a_month_does_not_leave_before_the_warehouse_has_the_column(facts: Bench, lake: Store) -> None:
    """Its values would be lost."""
    facts.source("ALTER TABLE facts ADD w text DEFAULT 'here'")
    tier(facts, TIERS)
    (done,) = move(facts, lake)
    assert isinstance(done.failure, CatalogMismatch)
    assert done.failure.message.endswith("have not the same columns: w")
    assert done.failure.hint == f"Nothing was moved. Ingest it first: `drivetrain ingest {facts.name}.facts`."
    facts.ingest("facts")
    moved(facts, lake)
    assert facts.warehouse("SELECT count(w) FROM {raw}.facts WHERE at < '2024-02-01'") == [(124,)]
    assert proven(facts, lake) == []


@pytest.mark.parametrize("change", ["ALTER TABLE facts DROP v", "ALTER TABLE facts ALTER v TYPE char(9)"])
def test_no_column_goes_of_which_months_that_left_have_values(facts: Bench, lake: Store, change: str) -> None:
    moved(facts, lake)
    before = everywhere(facts, lake)
    facts.source(change)
    tier(facts, TIERS)
    with pytest.raises(CatalogMismatch) as refused:
        facts.ingest("facts")
    assert f"{facts.raw}.facts.v" in refused.value.message
    assert "1 month has left its source" in refused.value.message
    assert "Drop " not in (refused.value.hint or "")
    assert everywhere(facts, lake) == before
    assert proven(facts, lake) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(*(st.sampled_from(values) | st.none() for values in TYPES.values())), max_size=9),
    first=st.integers(1, len(TYPES) - 1),
)
def test_the_hash_of_fewer_columns_is_that_of_null_in_the_others(
    empty_database: str, rows: list[tuple[str | None, ...]], first: int
) -> None:
    """By PostgreSQL itself, of every type."""
    columns = lake_columns(
        Carriage(tuple(CarriedColumn(f"c {n}", psycopg.sql.SQL(""), name) for n, name in enumerate(TYPES)))
    )
    with connect(Dsn(empty_database)) as connection:
        told = ", ".join(f'"c {number}" {name}' for number, name in enumerate(TYPES))
        connection.execute(f"DROP TABLE IF EXISTS facts; CREATE TABLE facts ({told})".encode())
        with connection.cursor() as cursor, cursor.copy("COPY facts FROM STDIN") as copy:
            for row in rows:
                copy.write_row([*row[:first], *([None] * (len(row) - first))])
        relation, everything = psycopg.sql.Identifier("facts"), psycopg.sql.SQL("true")
        fewer = content_on_server(connection, relation, columns[:first], everything)
        assert fewer == content_on_server(connection, relation, columns, everything)
        assert fewer.columns == first
