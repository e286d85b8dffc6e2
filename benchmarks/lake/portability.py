"""``portability``: one person's copy over ten months of the lake and two above it, against scanning everything.

Each in a process of its own, without its start: into a zip with JSON Lines and CSV, nothing of it kept.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.lake import samples
from benchmarks.lake.ground import Ground, months_from, prepare
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.processes import Command, timed
from benchmarks.stage import Stage

_MONTHS = months_from(dt.date(2023, 1, 1), 12)
#: Ten months are cold by then, and two warm.
_AT = dt.datetime(2024, 11, 15, tzinfo=dt.UTC)
PERSON = 1919
_SCAN = "scanning everything"


def _prepare(stage: Stage) -> Prepared:
    """Ready: ten months in the lake, two in the warehouse."""
    rows = int(samples.ROWS * stage.scale) // len(_MONTHS)
    ground = prepare(stage, "portability", _MONTHS, rows)
    stage.tell("moving ten months into the lake")
    while ground.move(_AT, dt.timedelta()):
        pass
    notes = [
        f"{rows * len(_MONTHS):,} positions in {len(_MONTHS)} months, ten of them in the lake (64 buckets each) and two"
        " in the warehouse.",
        "The limit reads the person's rows with pyarrow from the ten files that have them, known beforehand, and writes"
        " the same zip; scanning reads every file.",
    ]
    told: dict[str, int] = {}

    def run(series: str, verb: str) -> Mapping[str, Sample]:
        found = _run(ground, verb)
        if told.setdefault("rows", found["rows"]) != found["rows"]:
            raise BenchmarkError(f"{series}: {found['rows']:,} rows, and {told['rows']:,} before")
        if series not in told:
            told[series] = 1
            notes.append(
                f"{series}: {found['rows']:,} rows; read {found['bytes'] / 1e6:.2f} MB of"
                f" {found['all_bytes'] / 1e6:.2f} MB in {found['files']:,} of {found['all_files']:,} files."
            )
        return {series: Sample(found["seconds"], found["peak_memory_mb"])}

    series = {OURS: "ours", LIMIT: "limit", _SCAN: "scan"}
    return Prepared({name: partial(run, name, verb) for name, verb in series.items()}, notes)


def _run(ground: Ground, verb: str) -> dict[str, Any]:
    lake = ground.places.lake
    command = [sys.executable, "-m", "benchmarks.lake.portability_worker", verb, str(PERSON), lake.root]
    environment = {
        **os.environ, "BENCHMARK_DSN": ground.places.warehouse.text, "BENCHMARK_SOURCE": ground.source,
    }  # fmt: skip
    found = timed([[Command(command, environment)]])
    return {**json.loads(found.last_line), "peak_memory_mb": found.peak_memory_mb}


BENCHMARK = Benchmark(
    name="portability",
    ours="one person's copy of ten months in the lake and two above it",
    limit="reading those rows, their files known beforehand, into the same zip",
    prepare=_prepare,
)
