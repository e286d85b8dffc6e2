"""``start_to_work``: from the start of the process to the first useful work.

Ours is ``drivetrain ingest carddb.cards`` with the servers up: from the start of its process to the start of its
asset's step, which Dagster's own event log in PostgreSQL tells. The limit is what no command on Dagster and dagster-dbt
can avoid: their import.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg

from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.processes import Command, timed
from benchmarks.stage import Stage

_STARTED = """
SELECT extract(epoch FROM timestamp)::float8 FROM event_logs
 WHERE dagster_event_type = 'STEP_START' ORDER BY id DESC LIMIT 1
"""


def prepare(stage: Stage) -> Prepared:
    """Ready: Dagster's storage is made, the table is loaded, and every command ran once (its modules are compiled)."""
    candidates = {
        "drivetrain ingest": lambda: _ingest(stage),
        "import": lambda: {LIMIT: _seconds(stage, sys.executable, "-c", "import dagster, dagster_dbt")},
        "drivetrain --help": lambda: {"drivetrain --help": _seconds(stage, _drivetrain(), "--help")},
        "drivetrain servers status": lambda: {
            "drivetrain servers status": _seconds(stage, _drivetrain(), "servers", "status")
        },
        "python": lambda: {"python -c pass": _seconds(stage, sys.executable, "-c", "pass")},
    }
    for name, candidate in candidates.items():
        stage.tell(f"warming up: {name}")
        candidate()
    return Prepared(
        candidates,
        [
            "The servers are up and the table holds nothing new.",
            "Ours ends with the event STEP_START in Dagster's log; the memory is that of the whole command.",
        ],
    )


def _ingest(stage: Stage) -> Mapping[str, Sample]:
    began = time.time()
    run = timed([[Command([_drivetrain(), "ingest", "carddb.cards"], stage.environment, stage.folder)]])
    with psycopg.connect(stage.servers.dagster_dsn()) as connection:
        row = connection.execute(_STARTED).fetchone()
    if row is None or not began < row[0] < began + run.seconds:
        raise BenchmarkError("the run of `drivetrain ingest carddb.cards` has no step in Dagster's event log")
    return {OURS: Sample(row[0] - began, run.peak_memory_mb), "until the command's end": run.sample}


def _seconds(stage: Stage, *arguments: str) -> Sample:
    return timed([[Command(arguments, stage.environment, stage.folder)]]).sample


def _drivetrain() -> str:
    """The console script beside this interpreter."""
    path = Path(sys.executable).parent / "drivetrain"
    if not path.exists():
        raise BenchmarkError(f"There is no {path}: install the project (`make install`).")
    return str(path)


BENCHMARK = Benchmark(
    name=Path(__file__).stem,
    ours="`drivetrain ingest carddb.cards`: process start to first asset step",
    limit='python -c "import dagster, dagster_dbt"',
    prepare=prepare,
)
