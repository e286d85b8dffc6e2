"""The platform's part of a benchmark, in a process of its own: ``python -m benchmarks.worker load``.

Ingests all five systems through the domain API, as the assets do, without Dagster. Prints one JSON line: seconds spent
inside (without the interpreter's start and imports), rows and loads. The addresses come in ``BENCHMARK_*`` variables.
"""

from __future__ import annotations

import json
import os
import sys
import time

from warehouse.catalog import load_catalog
from warehouse.ingest import TableResult, ingest_table, open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate


def load() -> list[TableResult]:
    """Bring every table of every system up to its source."""
    warehouse = Dsn(os.environ["BENCHMARK_WAREHOUSE"], "warehouse")
    with connect(warehouse) as connection:
        migrate(connection)
    results: list[TableResult] = []
    for name, system in load_catalog().systems.items():
        primary, replica = (
            Dsn(os.environ[f"BENCHMARK_{name.upper()}_{which}"], f"{name} {which.lower()}")
            for which in ("PRIMARY", "REPLICA")
        )
        with open_snapshot(primary, replica) as snapshot:
            results += [ingest_table(snapshot, warehouse, system, table) for table in system.tables]
    return results


def main() -> None:
    """Run one verb."""
    if sys.argv[1:] != ["load"]:
        sys.exit("usage: python -m benchmarks.worker load")
    started = time.perf_counter()
    results = load()
    report = {
        "seconds": time.perf_counter() - started,
        "tables": len(results),
        "rows_written": sum(result.rows_written for result in results),
        "bytes_moved": sum(result.bytes_moved for result in results),
        "loads": sum(len(result.loads) for result in results),
        "agree": all(result.reconciliation.agrees for result in results),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
