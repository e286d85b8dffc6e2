"""``partition_creation``: maintenance of a table of 1,000 partitions that has 50 more to create.

The limit is 50 times CREATE TABLE ... PARTITION OF in one transaction, which locks the table against everybody: nobody
is there then. After every turn the 50 are counted and removed, and the table is as before.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping

import psycopg

from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Candidate, Prepared, Sample
from benchmarks.stage import Stage
from benchmarks.upkeep.ground import AHEAD, DUE, creation, prepare, refuse_failures, waits


def _prepare(stage: Stage) -> Prepared:
    """Ready: 50 partitions are due."""
    notes: list[str] = []
    ground = prepare(stage, "partition_creation", notes)

    def ours() -> Mapping[str, Sample]:
        with ground.others(ground.ours) as record:
            took, _ = ground.maintain(AHEAD + DUE)
        refuse_failures(record)
        _count(ground.remove_due(ground.ours), 0)
        return {OURS: Sample(took), **waits(record, "ours", notes)}

    def theirs() -> Mapping[str, Sample]:
        assert ground.theirs is not None
        with ground.others(ground.theirs) as record:
            took = ground.run_maintenance(AHEAD + DUE)
        _count(ground.remove_due(ground.theirs), 1)  # its own count of days can be one off
        if record.failures:
            notes.append(f"Beside pg_partman: {record.failures[0]}.")
        return {"pg_partman": Sample(took), **waits(record, "pg_partman", notes)}

    def limit() -> Mapping[str, Sample]:
        with psycopg.connect(ground.ours) as connection:
            began = time.monotonic()
            for number in range(1, DUE + 1):
                connection.execute(creation(ground.today + dt.timedelta(days=AHEAD + number)))
            connection.commit()
            took = time.monotonic() - began
        _count(ground.remove_due(ground.ours), 0)
        return {LIMIT: Sample(took)}

    peers: dict[str, Candidate] = {} if ground.theirs is None else {"pg_partman": theirs}
    return Prepared({"maintaining": ours, **peers, "creating by hand": limit}, notes)


def _count(made: int, tolerance: int) -> None:
    if abs(made - DUE) > tolerance:
        raise BenchmarkError(f"{made} partitions were made, not {DUE}")


BENCHMARK = Benchmark(
    name="partition_creation",
    ours="maintenance of 1,000 partitions with 50 to create, beside writers and long readers",
    limit="the same 50 by CREATE TABLE ... PARTITION OF in one transaction, with nobody beside it",
    prepare=_prepare,
)
