"""``partition_upkeep``: maintenance of a table of 1,000 partitions that has nothing to do, as nearly every run of it.

The limit is one query that reads the bounds of all partitions. Each round is several runs, each in a session of its
own: one alone would be over before a reader has begun.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import psycopg

from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Candidate, Prepared, Sample
from benchmarks.stage import Stage
from benchmarks.upkeep.ground import AHEAD, AROUND, HOLD, prepare, refuse_failures, waits

RUNS = 10
_BOUNDS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'ledger'::regclass
"""


def _prepare(stage: Stage) -> Prepared:
    """Ready: nothing is due."""
    notes: list[str] = []
    ground = prepare(stage, "partition_upkeep", notes)
    notes.append(f"Seconds are those of one run; a round is {RUNS} of them.")

    def ours() -> Mapping[str, Sample]:
        with ground.others(ground.ours) as record:
            runs = [ground.maintain(AHEAD) for _ in range(RUNS)]
        refuse_failures(record)
        if done := [done for _, report in runs for done in report.done]:
            raise BenchmarkError(f"something was due: {done}")
        return {OURS: Sample(sum(took for took, _ in runs) / RUNS), **waits(record, "ours", notes)}

    def theirs() -> Mapping[str, Sample]:
        assert ground.theirs is not None
        with ground.others(ground.theirs) as record:
            took = sum(ground.run_maintenance(AHEAD) for _ in range(RUNS))
        if made := ground.remove_due(ground.theirs):
            raise BenchmarkError(f"pg_partman had {made} partitions to make")
        if record.failures:
            notes.append(f"Beside pg_partman: {record.failures[0]}.")
        return {"pg_partman": Sample(took / RUNS), **waits(record, "pg_partman", notes)}

    def limit() -> Mapping[str, Sample]:
        with ground.others(ground.ours) as record:
            took = sum(_read_bounds(ground.ours) for _ in range(RUNS))
            time.sleep(HOLD - AROUND)
        return {LIMIT: Sample(took / RUNS), **waits(record, "nothing", notes)}

    peers: dict[str, Candidate] = {} if ground.theirs is None else {"pg_partman": theirs}
    return Prepared({"maintaining": ours, **peers, "reading bounds": limit}, notes)


def _read_bounds(dsn: str) -> float:
    with psycopg.connect(dsn, autocommit=True) as connection:
        began = time.monotonic()
        connection.execute(_BOUNDS).fetchall()
        return time.monotonic() - began


BENCHMARK = Benchmark(
    name="partition_upkeep",
    ours="maintenance of 1,000 partitions with nothing to do, beside writers and long readers",
    limit="one query that reads the bounds of the 1,000, beside the same sessions",
    prepare=_prepare,
)
