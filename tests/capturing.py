"""What the tests of change capture share: a publication, and runs of the capture.

What does not belong here: tables or expectations of any one test.
"""

from __future__ import annotations

from typing import Any

from ingesting import Bench

from warehouse.ingest.capture import Captured, capture_changes, publication_of
from warehouse.postgres.slots import publication_sql


def captured(bench: Bench, *tables: str) -> None:
    """Declare that changes of tables are captured, and publish them."""
    for table in tables:
        bench.tables[table].setdefault("ingest", {})["capture"] = True
    publish(bench)


def publish(bench: Bench) -> None:
    """What the tables' owner runs."""
    system = bench.system
    names = [system.source_of(name) for name, table in system.tables.items() if table.ingest.capture]
    bench.source(f"DROP PUBLICATION IF EXISTS {publication_of(system)}")
    bench.source(";".join(publication_sql(bench.admin, publication_of(system), names, there=False)))


def capture(bench: Bench, **options: Any) -> Captured:
    """One run, in which no table failed."""
    pair = bench.pair
    result = capture_changes(pair.primary, pair.log, pair.target, bench.system, **options)
    for table in result.tables.values():
        if table.error is not None:
            raise table.error
    return result


def slots(bench: Bench) -> list[str]:
    """Names of the logical slots of the source database."""
    return [name for (name,) in bench.source(
        "SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()"
    )]  # fmt: skip


def drop_slots(bench: Bench) -> None:
    """A database with a slot cannot be dropped."""
    bench.source(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
    )
