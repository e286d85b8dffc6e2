"""``tier_query``: one person, and one month, over warehouse and lake, against reading just those rows.

Times are of whole answers, the sessions' start included, in one process that has everything imported.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import psycopg
import pyarrow.dataset as ds

from benchmarks.lake import samples
from benchmarks.lake.ground import TABLE, Ground, months_from, prepare
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Candidate, Prepared, Sample
from benchmarks.stage import Stage
from warehouse.catalog.model import Catalog
from warehouse.postgres.sessions import connect
from warehouse.reading.query import Answer, run_query

_MONTHS = months_from(dt.date(2023, 1, 1), 12)
#: Ten months are cold by then, and two warm.
_AT = dt.datetime(2024, 11, 15, tzinfo=dt.UTC)
_PERSON = 1919
_WHAT = "SELECT count(*) AS n, max(lat) AS lat, max(recorded_at) AS latest FROM bikenode.gps_points"
_MARCH = "recorded_at >= '2023-03-01' AND recorded_at < '2023-04-01'"
_SCAN = "one person, scanning everything"
_QUERIES = {
    OURS: f"{_WHAT} WHERE user_id = {_PERSON}",
    "one person in one month": f"{_WHAT} WHERE user_id = {_PERSON} AND {_MARCH}",
    "one month": f"{_WHAT} WHERE {_MARCH}",
    _SCAN: f"{_WHAT} WHERE user_id + 0 = {_PERSON}",  # nothing that can be handed down
}


def _prepare(stage: Stage) -> Prepared:
    """Ready: ten months in the lake, two in the warehouse, each query asked once."""
    rows = int(samples.ROWS * stage.scale) // len(_MONTHS)
    ground = prepare(stage, "tier_query", _MONTHS, rows)
    stage.tell("moving ten months into the lake")
    while ground.move(_AT, dt.timedelta()):
        pass
    with psycopg.connect(ground.places.warehouse.text, autocommit=True) as connection:
        connection.execute(f"VACUUM ANALYZE raw_bikenode.{TABLE}".encode())
    catalog = Catalog(systems={"bikenode": ground.system})
    notes = [
        f"{rows * len(_MONTHS):,} positions of {samples.RIDERS} riders in {len(_MONTHS)} months, ten of them in the"
        " lake (64 buckets each) and two in the warehouse.",
        "The limit: pyarrow reads the person's rows from the ten files that have them, PostgreSQL the others by index;"
        " which files these are is known beforehand.",
    ]
    expected: dict[str, Any] = {}
    for name, query in _QUERIES.items():
        answer = _ask(ground, catalog, query)
        expected[name] = answer.rows.to_pylist()
        notes.append(
            f"{name}: {answer.files:,} of {answer.all_files:,} files, {answer.bytes / 1e6:.2f} of"
            f" {answer.all_bytes / 1e6:.2f} MB of the lake; {expected[name][0]['n']:,} rows."
        )
    if expected[OURS] != expected[_SCAN]:
        raise BenchmarkError(f"one person's rows are {expected[OURS]}, and {expected[_SCAN]} by scanning")

    def ours(name: str) -> Mapping[str, Sample]:
        began = time.perf_counter()
        answer = _ask(ground, catalog, _QUERIES[name])
        took = time.perf_counter() - began
        if answer.rows.to_pylist() != expected[name]:
            raise BenchmarkError(f"{name}: another answer")
        return {name: Sample(took)}

    root = ground.places.lake.under("bikenode", TABLE).root
    bucket = _PERSON % 64
    with psycopg.connect(ground.places.warehouse.text) as connection:
        found = connection.execute("SELECT path FROM platform.lake_file WHERE bucket = %s", (bucket,)).fetchall()
    paths = [f"{root}/{path}" for (path,) in found]

    def limit() -> Mapping[str, Sample]:
        began = time.perf_counter()
        field: Any = ds.field("user_id")
        dataset: Any = ds.dataset(paths, format="parquet")
        cold = dataset.to_table(columns=["lat", "recorded_at"], filter=field == _PERSON).num_rows
        with psycopg.connect(ground.places.warehouse.text) as connection:
            selected = f"SELECT lat, recorded_at FROM raw_bikenode.{TABLE} WHERE user_id = %s"
            warm = len(connection.execute(selected.encode(), (_PERSON,)).fetchall())
        took = time.perf_counter() - began
        if cold + warm != expected[OURS][0]["n"]:
            raise BenchmarkError(f"the limit read {cold} and {warm} rows")
        return {LIMIT: Sample(took)}

    limit()
    asked: dict[str, Candidate] = {name: partial(ours, name) for name in _QUERIES}
    return Prepared({"reading the rows": limit, **asked}, notes)


def _ask(ground: Ground, catalog: Catalog, query: str) -> Answer:
    warehouse = ground.places.warehouse
    with connect(warehouse, read_only=True) as connection:
        return run_query(connection, warehouse, catalog, ground.places.lake, query)


BENCHMARK = Benchmark(
    name="tier_query",
    ours="one person's rows of ten months in the lake and two in the warehouse",
    limit="reading those rows, their files known beforehand",
    prepare=_prepare,
)
