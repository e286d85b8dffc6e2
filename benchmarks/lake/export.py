"""``lake_export``: a month of positions from the warehouse into Parquet files, against reading it at all."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks import psql
from benchmarks.lake import samples
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Candidate, Prepared, Sample
from benchmarks.peers import ROLE, as_peer
from benchmarks.processes import Command, timed
from benchmarks.stage import Stage

_PEERS = ("pandas", "connectorx", "polars", "duckdb", "duckdb over adbc")


def prepare(stage: Stage) -> Prepared:
    """Ready: the month, on disk and read once."""
    dsn, rows = samples.make(stage, "lake_export")
    folder = stage.folder / "exported"
    notes = [
        f"{rows:,} positions of {samples.RIDERS} riders, in the order in which they came; 64 buckets, sorted.",
        "Ours and peers without the start of the interpreter and imports; the limit is psql, its start included.",
        "'verified': the server hashes every row meanwhile, the files are read anew and hashed, both must agree.",
    ]
    sizes: dict[str, float] = {}

    def ours(verb: str, series: str) -> Mapping[str, Sample]:
        module = [sys.executable, "-m", "benchmarks.lake.worker", verb, str(folder)]
        return _timed(series, Command(module, {**os.environ, "BENCHMARK_DSN": dsn}), folder, rows, sizes, notes)

    def limit() -> Mapping[str, Sample]:
        query = f"\\copy {samples.TABLE} TO '/dev/null' (FORMAT binary)"
        return {LIMIT: timed([[psql.script(dsn, [query], stage.folder / "limit.sql")]]).sample}

    limit()  # once untimed, so that all of it is in memory
    candidates: dict[str, Candidate] = {
        "exporting": partial(ours, "export", OURS),
        "reading": limit,
        "exporting, verified": partial(ours, "verified", "verified"),
        **_peers(stage, dsn, folder, rows, sizes, notes),
    }
    return Prepared(candidates, notes)


def _timed(
    series: str, command: Command, folder: Path, rows: int, sizes: dict[str, float], notes: list[str]
) -> Mapping[str, Sample]:
    """One export by a process that tells its own seconds."""
    told, peak = exported(series, command, folder, rows)
    if series not in sizes:
        sizes[series] = told["bytes"] / rows
        notes.append(f"{series}: {sizes[series]:.1f} bytes a row.")
    return {series: Sample(told["seconds"], peak)}


def exported(series: str, command: Command, folder: Path, rows: int) -> tuple[dict[str, float], float | None]:
    """One export into a folder that is empty before and gone afterwards: what its process tells, and its peak memory.

    Raises:
        BenchmarkError: rows are missing.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run = timed([[command]])
    told = json.loads(run.last_line)
    if told["rows"] != rows:
        raise BenchmarkError(f"{series}: {told['rows']:,} rows instead of {rows:,}")
    shutil.rmtree(folder)
    return told, run.peak_memory_mb


def _peers(
    stage: Stage, dsn: str, folder: Path, rows: int, sizes: dict[str, float], notes: list[str]
) -> dict[str, Candidate]:
    """Those that can be timed here."""
    if stage.peers_python is None:
        notes.append(f"Peers ({', '.join(_PEERS)}) were not measured: ask for them with --peers.")
        return {}
    script = str(Path(__file__).parents[1] / "peers" / "parquet.py")
    notes.append("Peers write one file of the rows as they come: neither bucketed nor sorted, with their own defaults.")
    address = as_peer(stage, dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(samples.TABLE), sql.Identifier(ROLE))
        )
    found: dict[str, Candidate] = {}
    for name in _PEERS:
        command = Command(
            [str(stage.peers_python), "-W", "ignore", script, name, samples.TABLE, str(folder)],
            {"PATH": os.defpath, "HOME": str(stage.folder), "BENCHMARK_DSN": address},
        )
        run: Callable[[], Mapping[str, Sample]] = partial(_timed, name, command, folder, rows, sizes, notes)
        stage.tell(f"trying {name}")
        try:
            run()
        except (BenchmarkError, OSError, ValueError) as error:
            notes.append(f"{name} was not measured: {error}")
            continue
        found[name] = run
    return found


BENCHMARK = Benchmark(
    name="lake_export",
    ours="a month into the lake: bucketed, sorted, encoded, committed",
    limit="psql's binary COPY of the same month to nowhere",
    prepare=prepare,
)
