"""The platform's part, in a process of its own: ``python -m benchmarks.lake.worker export|verified FOLDER``.

Prints one JSON line: seconds without the interpreter's start and imports, rows and bytes of the files. The address
comes in ``BENCHMARK_DSN``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import adbc_driver_postgresql.dbapi  # noqa: F401 - imported late elsewhere, and not to be timed
import deltalake  # noqa: F401
from psycopg import sql

from benchmarks.lake.samples import TABLE, columns, layout
from warehouse.lake.content import content_on_server
from warehouse.lake.delta import LakeTable
from warehouse.lake.export import Part, export_name, read_back, refuse_infinite, write_files
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn, connect

_TRUE = sql.SQL("true")


def run(verb: str, folder: Path) -> dict[str, float]:
    """Export the table; and prove it, if asked to."""
    dsn = Dsn(os.environ["BENCHMARK_DSN"], "warehouse")
    relation, name = sql.Identifier("public", TABLE), export_name()
    lake = LakeTable(Store(folder.as_uri()), columns(), "recorded_at")
    started = time.perf_counter()
    with connect(dsn) as connection, ThreadPoolExecutor(1) as beside, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot(), pg_relation_size(%s::regclass)", (TABLE,)).fetchone()
        assert row is not None
        part = Part(dsn, row[0], relation, _TRUE, columns(), layout(), "recorded_at", "2024-01", row[1])
        content = None
        if verb == "verified":
            refuse_infinite(connection, relation, columns(), _TRUE)
            content = beside.submit(content_on_server, connection, relation, columns(), _TRUE)
        files = write_files(part, lake.store, name)
        lake.commit(name, files)
        if content is not None and read_back(lake.store, files, columns()) != content.result():
            sys.exit("what was read back is not what the server has")
    return {
        "seconds": time.perf_counter() - started,
        "rows": sum(file.rows for file in files),
        "bytes": sum(file.bytes for file in files),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.argv[1], Path(sys.argv[2]))) + "\n")
