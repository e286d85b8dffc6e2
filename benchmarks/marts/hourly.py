"""``hourly_refresh``: the job that a schedule starts every hour (`drivetrain refresh hourly`), as a process.

Ours ingests what the hourly marts are made from, proves it, checks its rules and anomalies, builds and tests the marts
in one dbt invocation, and shows them in Dagster. The limit is that dbt invocation by itself, after the same ingestion.
Each of both comes after a day of use of every system.
"""

from __future__ import annotations

import datetime as dt
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.processes import Command, Timed, timed
from benchmarks.stage import PROJECT, TODAY, Stage
from demo.generate import change
from demo.servers import SYSTEMS
from resources.dbt import DBT_EXECUTABLE, connection_environment, folder_environment
from resources.settings import Settings

SEED = 7
_ROUNDS = itertools.count(1)
_SELECTED = ["--select", "+tag:hourly", "--exclude-resource-type", "unit_test"]
#: dbt writes this line at the start of every invocation.
_BEGUN = "Running with dbt="


#: When something was last loaded, and when the mart that was refreshed longest ago was.
_LAST = """
SELECT (SELECT max(committed_at) FROM platform.load),
       (SELECT min(published_at) FROM platform.published
         WHERE model IN ('marts.rider_leaderboard', 'marts.shop_analytics'))
"""


def prepare(stage: Stage) -> Prepared:
    """Ready: every system ingested, every model built, and one refresh of each kind made."""
    stage.tell("ingesting and building once, untimed")
    for arguments in (["ingest"], ["build"]):
        _drivetrain(stage, *arguments)
    candidates = {"hourly job": lambda: _job(stage), "dbt": lambda: _dbt(stage)}
    for candidate in candidates.values():
        candidate()
    return Prepared(
        candidates,
        [
            f"{stage.total_rows:,} rows in 56 tables; before each refresh a day of use of all five systems.",
            "Ours is one dbt invocation, which is counted; the process start, the import of Dagster, ingestion of two"
            " months with its proof, Great Expectations and the metadata of every mart are included.",
        ],
    )


def _use(stage: Stage) -> None:
    number = next(_ROUNDS)
    for system in SYSTEMS:
        change(stage.servers.system_admin_dsn(system), system, seed=SEED, round=number, today=TODAY)
    stage.servers.wait_for_replica(60)


def _job(stage: Stage) -> Mapping[str, Sample]:
    _use(stage)
    begun, (_, before) = _invocations(stage), _last(stage)
    run = _drivetrain(stage, "refresh", "hourly", "--at", TODAY.isoformat())
    if (invocations := _invocations(stage) - begun) != 1:
        raise BenchmarkError(f"the hourly job took {invocations} dbt invocations")
    loaded, published = _last(stage)
    if not before < loaded < published:
        raise BenchmarkError("the hourly job did not bring what came in into the marts")
    return {OURS: run.sample}


def _last(stage: Stage) -> tuple[dt.datetime, dt.datetime]:
    with psycopg.connect(stage.servers.warehouse_dsn()) as connection:
        row = connection.execute(_LAST).fetchone()
        assert row is not None
        return row[0], row[1]


def _dbt(stage: Stage) -> Mapping[str, Sample]:
    _use(stage)
    _drivetrain(stage, "ingest")
    settings = Settings(stage.environment)
    environment = {
        **stage.environment,
        **connection_environment(settings.warehouse()),
        **folder_environment(settings),
    }
    return {LIMIT: timed([[Command([str(DBT_EXECUTABLE), "build", *_SELECTED], environment, PROJECT)]]).sample}


def _invocations(stage: Stage) -> int:
    """How many dbt invocations this home has seen."""
    return sum(log.read_text().count(_BEGUN) for log in (stage.servers.home / "dbt").rglob("dbt.log"))


def _drivetrain(stage: Stage, *arguments: str) -> Timed:
    program = str(Path(sys.executable).with_name("drivetrain"))
    return timed([[Command([program, *arguments], stage.environment, stage.folder)]])


BENCHMARK = Benchmark(
    name="hourly_refresh",
    ours="the whole hourly job after a day of use: process start, ingestion, checks, marts, what Dagster shows",
    limit="`dbt build` of the same models and tests after the same use, ingested before",
    prepare=prepare,
)
