"""One person's copy, or what it is held against, in a process of its own: ``... ours|limit|scan PERSON FOLDER``.

Prints one JSON line: seconds without the interpreter's start and imports, rows, and what of the lake was read. The
addresses come in ``BENCHMARK_DSN`` and ``BENCHMARK_SOURCE``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi  # noqa: F401 - imported late elsewhere, and not to be timed
import psycopg
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.lake.samples import COLUMNS, TABLE, layout
from warehouse.catalog.loader import load_catalog
from warehouse.erasure.held import holding
from warehouse.erasure.held_cold import LakeRead
from warehouse.erasure.portability import Row, TableRows, write_portable
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn

_SYSTEM = load_catalog().systems["bikenode"]


def ours(folder: Path, person: int) -> tuple[int, int, int]:
    """As it is made: every tier, each row once."""
    read, about = LakeRead(), {"user_id": {str(person)}}
    source, warehouse = Dsn(os.environ["BENCHMARK_SOURCE"]), Dsn(os.environ["BENCHMARK_DSN"])
    with holding(_SYSTEM, source, warehouse, Store(folder.as_uri()), read) as held:
        rows = _zipped(person, held.rows(TABLE, about))
    return rows, read.files, read.bytes


def limit(folder: Path, person: int) -> tuple[int, int, int]:
    """The files that have the person, and nothing but reading them."""
    bucket = layout().bucket_of(person)
    return _read(person, [path for path in _files(folder) if path.parent.name == f"bucket={bucket}"])


def scan(folder: Path, person: int) -> tuple[int, int, int]:
    """Every file."""
    return _read(person, list(_files(folder)))


def _read(person: int, paths: Sequence[Path]) -> tuple[int, int, int]:
    rows = _zipped(person, _rows(person, paths))
    return rows, len(paths), sum(path.stat().st_size for path in paths)


def _rows(person: int, paths: Sequence[Path]) -> Iterator[Row]:
    read, compute = pq.read_table, pc  # type: ignore[reportUnknownMemberType]
    for path in paths:
        found: Any = read(path, partitioning=None)
        for row in found.filter(compute.equal(found.column("user_id"), person)).to_pylist():
            yield [None if row[name] is None else str(row[name]) for name in COLUMNS]
    with psycopg.connect(os.environ["BENCHMARK_DSN"]) as connection:
        texts = ", ".join(f"{name}::text" for name in COLUMNS)
        query = f"SELECT {texts} FROM raw_bikenode.{TABLE} WHERE user_id = %s"
        yield from connection.execute(query.encode(), (person,))


def _zipped(person: int, rows: Iterator[Row]) -> int:
    with tempfile.TemporaryFile() as target:
        ((table,), _) = write_portable(
            target, [TableRows(_SYSTEM, TABLE, {"user_id": {str(person)}}, rows)], "2026-01-01"
        )
    return table.rows


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in sorted(folder.rglob("month=*/**/*.parquet"))}


VERBS = {"ours": ours, "limit": limit, "scan": scan}


def run(verb: str, person: int, folder: Path) -> Mapping[str, float]:
    """One of them, timed."""
    every = _files(folder)
    started = time.perf_counter()
    rows, files, size = VERBS[verb](folder, person)
    took = time.perf_counter() - started
    return {
        "seconds": took, "rows": rows, "files": files, "bytes": size, "all_files": len(every),
        "all_bytes": sum(every.values()),
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))) + "\n")
