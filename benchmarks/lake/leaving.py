"""``hot_to_warm``: a month that ingestion copied leaves its source, against hashing it once in both databases.

Each round begins with the same month in the same place: what the one before did is taken back, untimed.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping

import psycopg
from psycopg import sql

from benchmarks import psql
from benchmarks.lake import samples
from benchmarks.lake.ground import TABLE, Ground, bound, partition, prepare
from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.processes import timed
from benchmarks.stage import Stage
from warehouse.catalog.naming import left_name
from warehouse.lake.content import Content, content_on_server
from warehouse.postgres.sessions import Dsn, connect

_MONTH, _AT, _KEEP = dt.date(2024, 1, 1), dt.datetime(2024, 3, 20, tzinfo=dt.UTC), dt.timedelta(days=7)
_RAW = f"raw_bikenode.{TABLE}"


def _prepare(stage: Stage) -> Prepared:
    """Ready: a month at the source, and the same in the warehouse."""
    rows = int(samples.ROWS * stage.scale)
    ground = prepare(stage, "hot_to_warm", [_MONTH], rows)
    with psycopg.connect(ground.places.warehouse.text, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE copied AS SELECT * FROM {_RAW} WITH NO DATA".encode())
        connection.execute(f"VACUUM ANALYZE {_RAW}".encode())
    notes = [
        f"A month of {rows:,} positions; the policy of bikenode.gps_points. Ours is the whole move in one session each:"
        " plan, detach, compare, flip; without the drop after the time of grace, which hashes both sides once more.",
        "The limit hashes source and warehouse one after the other. 'psql, copying it' brings the month once more, as"
        " would be done without a comparison: binary COPY into an empty table without an index.",
    ]

    def ours() -> Mapping[str, Sample]:
        began = time.perf_counter()
        done = ground.move(_AT, _KEEP, [_MONTH])
        took = time.perf_counter() - began
        if len(done) != 1 or done[0].move is None or done[0].move.state != "flipped":
            raise BenchmarkError(f"the month did not leave: {done}")
        _take_back(ground, done[0].move.id)
        return {OURS: Sample(took)}

    def limit() -> Mapping[str, Sample]:
        began = time.perf_counter()
        found = [
            _hash(Dsn(ground.source), sql.Identifier("public", partition(_MONTH))),
            _hash(ground.places.warehouse, sql.Identifier("raw_bikenode", partition(_MONTH))),
        ]
        took = time.perf_counter() - began
        if found[0] != found[1] or found[0].rows != rows:
            raise BenchmarkError(f"source and warehouse differ: {found}")
        return {LIMIT: Sample(took)}

    def copying() -> Mapping[str, Sample]:
        into = psql.run(ground.places.warehouse.text, "\\copy copied FROM STDIN (FORMAT binary)")
        out_of = psql.run(ground.source, f"\\copy {partition(_MONTH)} TO STDOUT (FORMAT binary)", output_to=into)
        run = timed([[out_of]])
        with psycopg.connect(ground.places.warehouse.text, autocommit=True) as connection:
            connection.execute("TRUNCATE copied")
        return {"psql, copying it": Sample(run.seconds)}

    limit()  # once untimed, so that all of it is in memory
    return Prepared({"leaving": ours, "hashing both": limit, "copying": copying}, notes)


def _hash(dsn: Dsn, relation: sql.Identifier) -> Content:
    with connect(dsn, see_all_rows=True) as connection:
        return content_on_server(connection, relation, samples.columns(), sql.SQL("true"))


def _take_back(ground: Ground, move: int) -> None:
    """As it was before the move."""
    left, name = left_name(move), partition(_MONTH)
    with psycopg.connect(ground.source, autocommit=True) as connection:
        for statement in (
            f"DROP TABLE {name}",
            f"DROP TRIGGER drivetrain_guard ON {left}",
            f"DROP FUNCTION {left}_guard()",
            f"ALTER TABLE {left} RENAME TO {name}",
            f"ALTER TABLE {TABLE} ATTACH PARTITION {name} {bound(_MONTH)}",
        ):
            connection.execute(statement.encode())
    with psycopg.connect(ground.places.warehouse.text, autocommit=True) as connection:
        connection.execute("UPDATE platform.tier_move SET state = 'undone' WHERE id = %s", (move,))


BENCHMARK = Benchmark(
    name="hot_to_warm",
    ours="a month that ingestion copied leaves its source",
    limit="its rows hashed once at the source and once in the warehouse",
    prepare=_prepare,
)
