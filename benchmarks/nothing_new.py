"""``nothing_new``: ingest all five systems again when no source has changed.

Nothing in a table's statistics, sizes or clocks proves that no row was changed in place, so whoever wants proof must
read every row on both sides. The limit is to merely count them, both sides at the same time, by psql (an index-only
scan where PostgreSQL chooses one): less than any comparison of content can do. What a comparison of content costs, by
psql as well, is a peer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import psql
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.processes import timed
from benchmarks.stage import SourceTable, Stage
from demo.servers import SYSTEMS


def prepare(stage: Stage) -> Prepared:
    """Ready: the reference warehouse holds everything; each way is run once untimed."""
    candidates = {
        "ours": lambda: _ours(stage),
        "counting": lambda: {LIMIT: _both_sides(stage, _count)},
        "hashing": lambda: {"psql hashing every row, both sides": _both_sides(stage, _hash)},
    }
    for candidate in candidates.values():
        candidate()
    return Prepared(
        candidates,
        [
            f"{len(stage.tables)} tables, {stage.total_rows:,} rows on each side, read from the replica by everybody.",
            "The limit counts both sides at once and proves nothing of content; a way that trusted a cursor column or"
            " a change log would read less, and could not see a row changed behind its back.",
            "Ours is timed as a process, its start included.",
        ],
    )


def _ours(stage: Stage) -> Mapping[str, Sample]:
    run = stage.worker("load", stage.reference)
    inside = json.loads(run.last_line)
    if inside["rows_written"] or inside["loads"] or not inside["agree"]:
        raise BenchmarkError(f"ours found something new: {inside}")
    return {OURS: run.sample, "ours without process start": Sample(inside["seconds"])}


def _both_sides(stage: Stage, query: Callable[[str, str], str]) -> Sample:
    """One psql through the warehouse's tables and one through each source, all at once."""
    folder = stage.folder / "queries"
    folder.mkdir(exist_ok=True)
    sources = [
        psql.script(
            stage.source(system),
            [query(table.source, _columns(table)) for table in stage.tables if table.system == system],
            folder / f"{system}.sql",
        )
        for system in SYSTEMS
    ]
    warehouse = psql.script(
        stage.warehouse(stage.reference),
        [query(table.target, _columns(table)) for table in stage.tables],
        folder / "warehouse.sql",
    )
    return timed([[*sources, warehouse]]).sample


def _columns(table: SourceTable) -> str:
    return table.columns


def _count(relation: str, columns: str) -> str:  # noqa: ARG001
    return f"SELECT count(*) FROM {relation};"


def _hash(relation: str, columns: str) -> str:
    return f"SELECT count(*), sum(hashtextextended(ROW({columns})::text, 0)) FROM {relation};"


BENCHMARK = Benchmark(
    name=Path(__file__).stem,
    ours="a second ingestion of five systems with nothing new, every row compared (domain API)",
    limit="psql's SELECT count(*) of every table, both sides at once",
    prepare=prepare,
)
