"""Persons are erased from every tier below the source: no byte of theirs stays, and nobody else loses one."""

from __future__ import annotations

import datetime as dt
import io
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pyarrow.parquet as pq
import pytest
from ingesting import Bench, rows_of
from tiering import AT, NO_HOT, ONLY_JANUARY, TIERS, environment, move, moved, places, proven

from warehouse.erasure.below import erase_below, look_below
from warehouse.erasure.replacing import Replacement
from warehouse.errors import CatalogMismatch, ConfigurationError, ExportRefused, LegalHold
from warehouse.lake.delta import LakeTable
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Connection, Dsn, connect
from warehouse.state.tiered import tiered
from warehouse.tiering.rehydrating import Request, rehydrate_table

LATER = dt.datetime(2024, 9, 20, tzinfo=dt.UTC)
JANUARY = dt.date(2024, 1, 1)
FOREVER = dt.timedelta(days=9999)
Row = tuple[str, ...]


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return Store(tmp_path.as_uri())
    return request.getfixturevalue("bucket")


@pytest.fixture
def facts(facts: Bench) -> Bench:
    """Messages between thirty persons: ``who`` writes, and ``other`` is written to."""
    facts.source("ALTER TABLE facts ADD who bigint, ADD other bigint, ADD mail text, ADD note text")
    facts.source("UPDATE facts SET who = 1000 + id % 30, other = 1000 + (id * 7 + 3) % 30,"
                 " mail = 'person-' || id % 30 || '@example.org', note = 'note of ' || id % 30, v = 'v' || id")  # fmt: skip
    facts.source("CREATE TABLE riders (id bigint PRIMARY KEY, email text)")
    facts.declare("riders", key=("id",), subjects=["id"], erasure="delete")
    facts.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
    return facts


def declare(bench: Bench, tiers: dict[str, Any] | None, erasure: Any = "delete", both: bool = False) -> None:
    subjects = ["who", "other"] if both else ["who"]
    policy = {"partition": {"range": "at", "name": "{table}_y{year}m{month}"}, "subjects": subjects}
    bench.monthly("facts", erasure=erasure, **policy, **({"tiers": tiers} if tiers else {}))
    columns = bench.tables["facts"]["columns"]
    for name, kind, whose in (
        ("who", "person_id", "who"), ("other", "person_id", "other"), ("mail", "email", "who"), ("note", "free_text", "who"),
    ):  # fmt: skip
        if not both and name == "other":
            continue
        columns[name] |= {"personal": kind} | ({"whose": whose} if both else {})


def rows(bench: Bench, lake: Store) -> Counter[Row]:
    """Every row below the source, value by value: of the raw table, and of the files of the ledger."""
    names = list(bench.tables["facts"]["columns"])
    shown = ", ".join(f"{name}::timestamptz AT TIME ZONE 'UTC'" if name == "at" else name for name in names)
    found = Counter(tuple(map(str, row)) for row in bench.warehouse(f"SELECT {shown} FROM {{raw}}.facts"))
    root = lake.under(bench.name, "facts")
    for (path,) in bench.warehouse(
        "SELECT f.path FROM platform.tier_move AS m JOIN platform.lake_file AS f ON f.move = m.id"
        f" WHERE m.state IN ('flipped', 'dropped') AND m.system = '{bench.name}'"
    ):
        for row in pq.read_table(io.BytesIO(root.get(path)), partitioning=None).to_pylist():
            values = [row.get(name) for name in names]
            found[tuple(str(v.replace(tzinfo=None) if isinstance(v, dt.datetime) else v) for v in values)] += 1
    return found


def without(before: Counter[Row], *persons: int, both: bool = False) -> Counter[Row]:
    keys = set(map(str, persons))
    return Counter({row: n for row, n in before.items() if row[3] not in keys and not (both and row[4] in keys)})


def about(*persons: int, columns: tuple[str, ...] = ("who",)) -> dict[str, set[str]]:
    return {column: set(map(str, persons)) for column in columns}


def erase(bench: Bench, lake: Store, values: dict[str, set[str]], replacement: Replacement | None = None) -> list[Any]:
    """At the source, as its own step does, and below."""
    return erase_below(places(bench, lake), bench.system, "facts", values, "batch 1", replacement)


def at_source(bench: Bench, *persons: int, columns: tuple[str, ...] = ("who",)) -> None:
    """The source's own step."""
    for column in columns:
        bench.source(f"DELETE FROM facts WHERE {column} IN ({', '.join(map(str, persons))})")


def looked(bench: Bench, lake: Store, values: dict[str, set[str]], replacement: Replacement | None = None) -> list[Any]:
    with (
        connect(bench.pair.target, read_only=True) as warehouse,
        connect(Dsn(bench.pair.source_admin), read_only=True, see_all_rows=True) as source,
    ):
        table = tiered(warehouse, bench.system, "facts", lake)
        return look_below(warehouse, table, values, replacement, source)


def counted(bench: Bench, lake: Store, values: dict[str, set[str]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for each in looked(bench, lake, values):
        found[each.tier] += each.rows
    return dict(found)


def everything(lake: Store) -> bytes:
    """Every byte of the lake: files, footers, the log, old versions."""
    return b"".join(lake.get(each.path) for each in lake.list())


def assert_nowhere(bench: Bench, lake: Store, *numbers: int) -> None:
    """No value of a person's in any byte of the lake, of any relation of the warehouse, of what the server knows."""
    stored = everything(lake)
    names = [f"person-{number - 1000}@example.org" for number in numbers] + [f"note of {n - 1000}" for n in numbers]
    for path in [each.path for each in lake.list() if each.path.endswith(".parquet")]:
        file = pq.ParquetFile(io.BytesIO(lake.get(path)))
        index = file.schema_arrow.names.index("mail")
        values = set(file.read(columns=["mail"]).column(0).to_pylist())
        for group in range(file.metadata.num_row_groups):
            statistics = file.metadata.row_group(group).column(index).statistics
            values |= {statistics.min, statistics.max} if statistics is not None else set()
        assert not values & set(names)
    for name in names:
        assert not any(stored[at - 1 : at + len(name) + 1].strip(b"\x00") == name.encode() or _ends(stored, at, name)
                       for at in _found(stored, name.encode())), name  # fmt: skip
    relations = bench.warehouse("SELECT relname FROM pg_class WHERE relnamespace = '{raw}'::regnamespace AND relkind = 'r'")
    for (relation,) in relations:
        for (row,) in bench.warehouse(f'SELECT r::text FROM {{raw}}."{relation}" AS r'):
            assert not any(f"{name}," in f"{row}," or f'"{name}"' in row for name in names), relation
    known = str(bench.warehouse("SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats"
                                " WHERE schemaname = '{raw}'"))  # fmt: skip
    assert not any(f"{name}," in known or f"{name}}}" in known for name in names)
    told = str(bench.warehouse("SELECT row_to_json(e)::text FROM platform.erased AS e UNION ALL"
                               " SELECT row_to_json(e)::text FROM platform.tier_event AS e"))  # fmt: skip
    assert "example.org" not in told


def _found(stored: bytes, name: bytes) -> list[int]:
    places: list[int] = []
    at = stored.find(name)
    while at >= 0:
        places.append(at)
        at = stored.find(name, at + 1)
    return places


def _ends(stored: bytes, at: int, name: str) -> bool:
    """Whether what was found is the name, and not the beginning of another person's (note of 1, note of 12)."""
    after = stored[at + len(name) : at + len(name) + 1]
    return not after.isdigit()


def test_cold(facts: Bench, lake: Store) -> None:
    declare(facts, TIERS)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    before = rows(facts, lake)
    files = {each.path for each in lake.list() if each.path.endswith(".parquet")}
    assert counted(facts, lake, about(1007)) == {"cold": 12}
    (first, *_) = looked(facts, lake, about(1007))
    assert (first.month, first.rows, first.files) == (JANUARY, 4, 1), "of two buckets"
    done = erase(facts, lake, about(1007))
    assert [(each.tier, each.rows, each.changed, each.done) for each in done] == [
        ("cold", 4, 0, True), ("cold", 4, 0, True), ("cold", 4, 0, True),
    ]  # fmt: skip
    assert rows(facts, lake) == without(before, 1007)
    after = {each.path for each in lake.list() if each.path.endswith(".parquet")}
    assert len(after - files) == len(files - after) == 3
    assert_nowhere(facts, lake, 1007)
    assert proven(facts, lake) == []
    assert counted(facts, lake, about(1007)) == {}
    assert erase(facts, lake, about(1007)) == []
    with pytest.raises(psycopg.Error, match="only ever added to"):
        facts.warehouse(f"UPDATE platform.erased SET rows = 0 WHERE id = {done[0].id}")
    assert facts.ingest("facts").rows_written == 0
