"""``full_load``: all five systems into an empty warehouse.

The limit is the bytes alone: psql's binary COPY of the same columns from the same server into logged tables without
indexes. Two ways of it are timed, and the faster kind is the limit: one pair of sessions per system (tables pass
through named pipes), rather than a pair of psql processes per table, whose starts would make the limit an easier one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from benchmarks import psql
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.peers import peers
from benchmarks.processes import Command, timed, together
from benchmarks.stage import SourceTable, Stage
from demo.servers import SYSTEMS


def prepare(stage: Stage) -> Prepared:
    """Ready: the reference warehouse (which also warms caches), and the empty tables of the limit."""
    if stage.missing(stage.reference):
        raise BenchmarkError(f"The first ingestion is incomplete: {'; '.join(stage.missing(stage.reference))}")
    notes = [
        f"{len(stage.tables)} tables, {stage.total_rows:,} rows, read from the replica by everybody.",
        "Ours also compares content on both sides before and after, keeps months apart, builds keys, runs ANALYZE and"
        " writes its ledger. Neither the limit nor the peers reconcile anything.",
        "Everybody is timed as processes, their own start included; 'ours without process start' is the domain API"
        " alone.",
    ]
    with stage.database(stage.empty_tables):  # once untimed, so that all of it is on disk
        pass
    candidates = {
        "ours": lambda: _ours(stage),
        "one psql pair per system": lambda: _per_system(stage),
        "one psql pair per table": lambda: _per_table(stage),
        **peers(stage, notes),
    }
    return Prepared(candidates, notes)


def _ours(stage: Stage) -> Mapping[str, Sample]:
    with stage.database() as database:
        run = stage.worker("load", database)
        stage.check("ours", database)
    inside = json.loads(run.last_line)
    if not inside["agree"]:
        raise BenchmarkError("ours: a reconciliation disagreed")
    return {OURS: run.sample, "ours without process start": Sample(inside["seconds"])}


def _per_system(stage: Stage) -> Mapping[str, Sample]:
    with stage.database(stage.empty_tables) as database:
        copied = timed([_sessions(stage, system, database) for system in SYSTEMS]).sample
        keys = timed([[psql.run(stage.warehouse(database), *_keys(stage))]]).sample
        stage.check("psql, a pair per system", database)
    return {LIMIT: copied, "limit with primary keys": together([copied, keys])}


def _per_table(stage: Stage) -> Mapping[str, Sample]:
    with stage.database(stage.empty_tables) as database:
        run = timed([[_pair(stage, table, database)] for table in stage.tables])
        stage.check("psql, a pair per table", database)
    return {"psql pair per table": run.sample}


def _sessions(stage: Stage, system: str, database: str) -> list[Command]:
    """Two psql, one at each end, and a named pipe per table between them."""
    folder = stage.folder / "pipes" / database / system
    folder.mkdir(parents=True)
    outwards: list[str] = []
    inwards: list[str] = []
    for table in (t for t in stage.tables if t.system == system):
        pipe = folder / table.name
        os.mkfifo(pipe)
        outwards.append(f"\\copy ({_select(table)}) TO '{pipe}' (FORMAT {table.format})")
        inwards.append(f"\\copy {_into(table)} FROM '{pipe}' (FORMAT {table.format})")
    return [
        psql.script(stage.source(system), outwards, folder / "out.sql"),
        psql.script(stage.warehouse(database), inwards, folder / "in.sql"),
    ]


def _pair(stage: Stage, table: SourceTable, database: str) -> Command:
    """``psql -c "COPY … TO STDOUT" | psql -c "COPY … FROM STDIN"``."""
    target = psql.run(stage.warehouse(database), f"COPY {_into(table)} FROM STDIN (FORMAT {table.format})")
    return psql.run(
        stage.source(table.system), f"COPY ({_select(table)}) TO STDOUT (FORMAT {table.format})", output_to=target
    )


def _select(table: SourceTable) -> str:
    return f"SELECT {table.columns} FROM {table.source}"


def _into(table: SourceTable) -> str:
    return f"{table.target} ({table.columns})"


def _keys(stage: Stage) -> list[str]:
    return [f"ALTER TABLE {table.target} ADD PRIMARY KEY ({table.key})" for table in stage.tables if table.key]


BENCHMARK = Benchmark(
    name=Path(__file__).stem,
    ours="a full load of five systems into an empty warehouse (domain API)",
    limit="psql's COPY of the same rows, two sessions per system, logged tables without indexes",
    prepare=prepare,
)
