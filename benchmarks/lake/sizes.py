"""``lake_bytes``: bytes per row of real GPS tracks in the lake, against default Parquet of the same rows.

Not a matter of time: each round writes both anew. What does not belong here: generated positions (``samples``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi
import psycopg
import pyarrow.parquet as pq

from benchmarks.lake import samples
from benchmarks.lake.export import exported
from benchmarks.model import LIMIT, OURS, Benchmark, NotHere, Prepared, Sample
from benchmarks.processes import Command
from benchmarks.stage import Stage
from demo.bikenode.real import TRACKS, read_rides
from resources.settings import Settings

#: The same tracks ridden by others, elsewhere, on other days of one month: whole seconds, and six decimals as they had.
_FLEET = """
INSERT INTO gps_points
SELECT ride_id + copy * 100, seq, recorded_at - started + begun, user_id + copy * 100,
       round((lat + dy)::numeric, 6), round((lon + dx)::numeric, 6), elevation_m, speed_mps, accuracy_m,
       received_at - started + begun
  FROM generate_series(1, %s) AS copy,
       (SELECT *, min(recorded_at) OVER (PARTITION BY ride_id) AS started FROM gps_points) AS point,
       LATERAL (SELECT '2024-01-15+00'::timestamptz
                       + hashint8extended(copy * 100 + ride_id, 1) %% 1200000 * interval '1 second') AS day (begun),
       LATERAL (SELECT hashint8extended(copy, 2) %% 400000 / 1e6, hashint8extended(copy, 3) %% 400000 / 1e6)
           AS away (dx, dy)
 ORDER BY received_at - started + begun, copy, ride_id, seq
"""
_REAL, _MANY = "real points alone", "a fleet on these tracks"


def prepare(stage: Stage) -> Prepared:
    """Ready: the real points in one database, and a fleet that rides their tracks in another."""
    folder = Settings.load().real_data
    if folder is None:
        raise NotHere("lake_bytes needs the real tracks: set DRIVETRAIN_REAL_DATA.")
    points = list(_points(folder / TRACKS))
    databases: dict[str, tuple[str, int]] = {}
    for name, what in (("lake_bytes_real", _REAL), ("lake_bytes_fleet", _MANY)):
        dsn = samples.database(stage, name)
        with psycopg.connect(dsn, autocommit=True) as connection:
            columns = "(ride_id, seq, recorded_at, user_id, lat, lon, received_at)"
            with connection.cursor() as cursor, cursor.copy(f"COPY gps_points {columns} FROM STDIN") as copy:
                for point in points:
                    copy.write_row(point)
            if what == _MANY:
                copies = max(1, int(samples.ROWS * stage.scale) // len(points))
                stage.tell(f"a fleet on {copies:,} times {len(points):,} real points")
                connection.execute(_FLEET, (copies,))
                connection.execute("DELETE FROM gps_points WHERE recorded_at < '2024-01-01'")
            connection.execute("VACUUM FULL gps_points")
            ((rows,),) = connection.execute("SELECT count(*) FROM gps_points").fetchall()
        databases[what] = dsn, rows
    notes = [
        f"Real: the {len(points):,} points of five Geolife trips, as the demo has them in gps_points; so few that the"
        " footers of files weigh.",
        f"{_MANY}: {databases[_MANY][1]:,} rows, each track displaced by up to 0.4 degrees and to another time; seconds"
        " between points, and decimals, are the real ones.",
        "Default Parquet: pyarrow's write_table of the rows in the table's order, snappy; one file. The limit is half"
        " of its bytes. Ours: all files of 64 buckets, without Delta's log.",
    ]

    def measure(what: str, whose: str) -> Mapping[str, Sample]:
        dsn, rows = databases[what]
        if whose == "ours":
            return {OURS if what == _MANY else f"ours, {what}": Sample(_ours(stage, dsn, rows) / rows)}
        size = _default(dsn, stage.folder / "default.parquet") / rows
        return {f"default Parquet, {what}": Sample(size), **({LIMIT: Sample(size / 2)} if what == _MANY else {})}

    candidates = {
        f"{whose}: {what}": (lambda what=what, whose=whose: measure(what, whose))
        for what in databases
        for whose in ("ours", "default Parquet")
    }
    return Prepared(candidates, notes)


def _points(file: Path) -> Iterator[tuple[Any, ...]]:
    for ride in read_rides(file):
        for point in ride.points:
            yield ride.id, point.seq, point.at, ride.tracker + 1, point.lat, point.lon, ride.ended_at


def _ours(stage: Stage, dsn: str, rows: int) -> float:
    folder = stage.folder / "exported"
    module = [sys.executable, "-m", "benchmarks.lake.worker", "export", str(folder)]
    told, _ = exported("ours", Command(module, {**os.environ, "BENCHMARK_DSN": dsn}), folder, rows)
    return told["bytes"]


def _default(dsn: str, file: Path) -> int:
    connect: Any = adbc_driver_postgresql.dbapi.connect  # type: ignore[reportUnknownMemberType]
    with connect(dsn) as session, session.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {samples.TABLE}")
        pq.write_table(cursor.fetch_arrow_table(), file)  # type: ignore[reportUnknownMemberType]
    size = file.stat().st_size
    file.unlink()
    return size


BENCHMARK = Benchmark(
    name="lake_bytes",
    ours="real GPS tracks in the lake, bytes a row",
    limit="half of default snappy Parquet of the same rows",
    prepare=prepare,
    unit="bytes a row",
)
