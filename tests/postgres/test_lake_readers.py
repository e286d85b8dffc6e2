"""The recipes of docs/lake-readers.md: what of them can be run here is taken out of the page and run."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from ingesting import Bench
from tiering import LATER, NO_HOT, move, moved, tier

from warehouse.catalog.model import Catalog
from warehouse.errors import ExportRefused
from warehouse.lake.layout import Layout
from warehouse.lake.store import Store
from warehouse.postgres.sessions import connect
from warehouse.reading.query import run_query
from warehouse.tiering import cooling

PAGE = Path("docs/lake-readers.md").read_text()
ALL = "id >= 0"
SOME = "id = 130 AND \"at\" >= '2024-02-01 00:00:00+00' AND \"at\" < '2024-03-01 00:00:00+00'"


@pytest.fixture
def lake(tmp_path: Path) -> Store:
    return Store(tmp_path.as_uri())


def block(name: str, bench: Bench) -> str:
    """A block of the page, for the table of the test."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, f"the page has no {name!r} any more"
    return found[1].replace("bikenode", bench.name).replace("gps_points", "facts")


def recipe(bench: Bench, lake: Store, condition: str = ALL, buckets: list[int] | None = None) -> dict[str, Any]:
    """What the page's code has in the end."""
    names: dict[str, Any] = {}
    exec(block("duckdb settings", bench), names)  # the page's own settings are of another place, and valid
    names.update(
        WAREHOUSE=bench.pair.target.text, LAKE=lake.under(bench.name, "facts").url, OPTIONS={},
        COLUMNS='id, "at", v', CONDITION=condition, BUCKETS=buckets,
    )  # fmt: skip
    exec(block("duckdb", bench), names)
    return names


def told(bench: Bench, lake: Store, condition: str = ALL) -> list[tuple[Any, ...]]:
    """What the recipe gives, as `drivetrain sql` tells it."""
    query = "SELECT id, \"at\" AT TIME ZONE 'UTC' AS moment, v FROM rows ORDER BY id, moment"
    names = recipe(bench, lake, condition)
    engine, rows = names["engine"], names["rows"]
    assert rows is not None
    return [tuple(row.values()) for row in engine.sql(query).to_arrow_table().to_pylist()]


def ours(bench: Bench, lake: Store, condition: str = ALL) -> list[tuple[Any, ...]]:
    """The answer of `drivetrain sql`."""
    catalog = Catalog(systems={bench.name: bench.system})
    query = f"SELECT id, at, v FROM {bench.name}.facts WHERE {condition} ORDER BY id, at"
    with connect(bench.pair.target, read_only=True) as connection:
        answer = run_query(connection, bench.pair.target, catalog, lake, query)
    return [tuple(row.values()) for row in answer.rows.to_pylist()]


def in_delta(bench: Bench, lake: Store) -> int:
    """Rows of the Delta table, as whoever does not ask the ledger counts them."""
    return DeltaTable(lake.under(bench.name, "facts").url).to_pyarrow_dataset().count_rows()


def test_each_row_is_read_once_wherever_its_month_is(
    facts: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    assert told(facts, lake) == ours(facts, lake)  # nothing is cold: there is no table in the lake
    moved(facts, lake, LATER)
    assert (len(told(facts, lake)), in_delta(facts, lake)) == (360, 360)
    assert told(facts, lake) == ours(facts, lake)
    assert told(facts, lake, SOME) == ours(facts, lake, SOME)
    assert len(ours(facts, lake, SOME)) == 1

    facts.source("UPDATE facts SET v = 'changed' WHERE id = 3")
    facts.source("DELETE FROM facts WHERE id = 4")
    facts.ingest("facts")  # January came back: its files are in the Delta table still
    assert in_delta(facts, lake) == 360
    assert len(told(facts, lake)) == 359
    assert told(facts, lake) == ours(facts, lake)

    def cut_off(*_: object) -> None:
        raise ExportRefused("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(cooling.Cooling, "_verify", cut_off)
        assert [done.failure is not None for done in move(facts, lake, LATER)] == [True]
    assert in_delta(facts, lake) == 359  # January anew, and its rows are in the warehouse
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(123,)]
    assert told(facts, lake) == ours(facts, lake)
    moved(facts, lake, LATER)
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]
    assert told(facts, lake) == ours(facts, lake)


def test_files_that_cannot_matter_are_not_opened(facts: Bench, lake: Store) -> None:
    tier(facts, {**NO_HOT, "cold": {"buckets": 1}})
    facts.ingest("facts")
    moved(facts, lake, LATER)
    root = lake.under(facts.name, "facts")
    kept = [path for path, *_ in facts.warehouse(block("files", facts)) if "month=2024-02" in path]
    for path in Path(root.root).rglob("*.parquet"):
        if str(path.relative_to(root.root)) not in kept:
            path.write_bytes(b"whoever opens this fails")
    assert [row[0] for row in recipe(facts, lake, SOME, [0])["rows"].fetchall()] == [130]
    with pytest.raises((duckdb.Error, OSError, ValueError)):
        recipe(facts, lake)["rows"].fetchall()


def test_the_ledger_names_months_and_files(facts: Bench, lake: Store) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    months = facts.warehouse(block("ledger", facts))
    assert [(month, rows) for month, _, rows in months] == [("2024-01", 124), ("2024-02", 116), ("2024-03", 120)]
    files = facts.warehouse(block("files", facts))
    there = DeltaTable(lake.under(facts.name, "facts").url).file_uris()
    assert {path for path, *_ in files} == {uri[uri.index("month=") :] for uri in there}
    assert sum(rows for _, _, rows, _ in files) == 360
    assert all(any(export in path for _, export, _ in months) for path, *_ in files)


def test_buckets_are_computed_as_they_were_written() -> None:
    """DuckDB's cells of the page's table. Those of Spark and Trino cannot be run here."""
    found = re.search(r"^\| DuckDB \| `(.+?)` \| `(.+?)` \|$", PAGE, re.MULTILINE)
    assert found is not None
    whole, other = (cell.replace("\\|", "|") for cell in found.groups())
    subjects: list[tuple[str, list[Any]]] = [
        (whole, [0, 7, 64, -1, -64, 2**62, -(2**62) + 5]),
        (other, ["", "x", "Zoë", str(uuid.UUID(int=7)), str(uuid.UUID(int=2**127))]),
    ]
    for expression, values in subjects:
        for buckets in (1, 3, 64):
            layout = Layout(buckets, "subject", expression == whole, ())
            for value in values:
                query = f"SELECT {expression} FROM (SELECT ? AS subject, {buckets}::BIGINT AS buckets)"
                row = duckdb.execute(query, [value]).fetchone()
                assert row is not None
                assert row[0] == layout.bucket_of(value), (expression, value, buckets)
