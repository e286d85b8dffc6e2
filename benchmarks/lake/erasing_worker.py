"""One erasure, or what it is held against, in a process of its own: ``... ours|limit|all|deltalake PERSONS FOLDER``.

Prints one JSON line: seconds without the interpreter's start and imports; files and bytes that were written anew, and
the rows that went. The ledger's address comes in ``BENCHMARK_DSN``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi  # noqa: F401 - imported late elsewhere, and not to be timed
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from benchmarks.lake.erasing import chosen
from benchmarks.lake.samples import TABLE, columns, layout
from warehouse.catalog.loader import load_catalog
from warehouse.catalog.model import Retention, Tiers
from warehouse.erasure.below import erase_below
from warehouse.lake.export import WORKERS, encoded
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn
from warehouse.state.tiered import Places

_SYSTEM = "bikenode"


def ours(folder: Path, persons: Sequence[int]) -> Mapping[str, float]:
    """The pass, with its ledger."""
    declared = load_catalog().systems[_SYSTEM]
    policy = declared.tables[TABLE]
    tiers = Tiers(warm=policy.tiers.warm, cold=policy.tiers.cold)
    policy = policy.model_copy(update={"retention": Retention(until="lifetime"), "tiers": tiers})
    system = declared.model_copy(update={"tables": {**declared.tables, TABLE: policy}})
    before = _files(folder)
    places = Places(None, Dsn(os.environ["BENCHMARK_DSN"], "warehouse"), Store(folder.as_uri()))
    started = time.perf_counter()
    done = erase_below(places, system, TABLE, {"user_id": {str(each) for each in persons}}, "benchmark")
    took = time.perf_counter() - started
    gone = {path: size for path, size in before.items() if not path.exists()}
    rows = sum(each.rows for each in done if each.tier == "cold")
    return {"seconds": took, "files": len(gone), "bytes": sum(gone.values()), "rows": rows}


def limit(folder: Path, persons: Sequence[int]) -> Mapping[str, float]:
    """The touched files, and nothing but reading and writing."""
    buckets = {layout().bucket_of(each) for each in persons}
    return _written([path for path in _files(folder) if int(path.parent.name.partition("=")[2]) in buckets], folder)


def everything(folder: Path, persons: Sequence[int]) -> Mapping[str, float]:
    """Every file without those rows."""
    return _written(list(_files(folder)), folder, pa.array(persons, pa.int64()))


def _written(paths: Sequence[Path], folder: Path, gone: Any = None) -> Mapping[str, float]:
    beside = folder / "written"
    beside.mkdir()
    size = sum(path.stat().st_size for path in paths)
    started = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(partial(_write, beside, gone), range(len(paths)), paths))
    return {"seconds": time.perf_counter() - started, "files": len(paths), "bytes": size, "rows": 0}


def _write(beside: Path, gone: Any, number: int, path: Path) -> None:
    read, compute = pq.read_table, pc  # type: ignore[reportUnknownMemberType]
    rows: Any = read(pa.BufferReader(path.read_bytes()))
    if gone is not None:
        rows = rows.filter(compute.invert(compute.is_in(rows.column("user_id"), value_set=gone)))
    (beside / str(number)).write_bytes(encoded(rows, columns()))


def deltalake(folder: Path, persons: Sequence[int]) -> Mapping[str, float]:
    """Its own delete, and its own vacuum."""
    started = time.perf_counter()
    table = DeltaTable(folder.as_posix())
    told: Any = table.delete(f"user_id IN ({', '.join(map(str, persons))})")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    took = time.perf_counter() - started
    return {
        "seconds": took, "files": told["num_removed_files"], "bytes": 0, "rows": told["num_deleted_rows"] or 0,
    }  # fmt: skip


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in sorted(folder.rglob("*.parquet"))}


VERBS = {"ours": ours, "limit": limit, "all": everything, "deltalake": deltalake}

if __name__ == "__main__":
    verb, count, place = sys.argv[1:]
    sys.stdout.write(json.dumps(VERBS[verb](Path(place), chosen(int(count)))) + "\n")
