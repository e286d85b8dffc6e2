"""Real rides for bikenode: five trips of the Geolife GPS data set fill ``rides`` and ``gps_points``.

What belongs here: reading ``geolife_tracks.csv.gz`` and what follows from its points. What does not: generated rows;
nothing in these two tables is invented. What the file lacks (elevation, speed, power, device) stays NULL.

Rules:

- One shift of whole days for the whole file moves the day (UTC) of its last point to the day before ``today``.
  Times of day and the days between trips stay as they were.
- A trip (``trajectory_id``) is a ride of that id; ``sequence`` numbers its points. The trackers, in order of their
  number, are the users 1, 2, 3 ...; a ride's data is kept in its rider's region.
- Distance is the sum of great-circle steps (haversine, R = 6,371,008.8 m). A step is motion at 0.5 m/s or more;
  moving duration is the sum of those steps, average speed is distance by moving duration.
- A ride and its points arrived when the ride ended.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn, TypeVar

import psycopg

from warehouse.errors import DemoError

TRACKS = "geolife_tracks.csv.gz"
FILES = (TRACKS,)
#: Mean radius of the earth in metres (IUGG).
EARTH_RADIUS_M = 6_371_008.8
#: Slowest step that counts as motion, in m/s.
MOVING_MPS = 0.5

T = TypeVar("T", int, float)


@dataclass(frozen=True)
class Point:
    """One line of the file."""

    line: int
    trip: int
    tracker: int
    seq: int
    at: dt.datetime
    lat: float
    lon: float


@dataclass(frozen=True)
class Ride:
    """What follows from the points of a trip."""

    id: int
    tracker: int
    points: tuple[Point, ...]
    distance_m: float
    moving_s: int

    @property
    def started_at(self) -> dt.datetime:
        return self.points[0].at

    @property
    def ended_at(self) -> dt.datetime:
        return self.points[-1].at


def load(connection: psycopg.Connection, folder: Path, *, seed: int, today: dt.date) -> set[str]:
    """Fill ``rides`` and ``gps_points`` from the file; users are there already.

    Args:
        folder: where ``geolife_tracks.csv.gz`` is.
        seed: not used: nothing here is left to chance.
        today: the file is shifted to end the day before.

    Returns:
        The tables that were filled.

    Raises:
        DemoError: the file is missing or malformed; file, line and column are named.
    """
    del seed
    rides = read_rides(folder / TRACKS)
    shift = shift_days(rides, today)
    riders = _riders(connection, rides)
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO rides (id, user_id, status, region, started_at, ended_at, start_lat, start_lon, end_lat,
                end_lon, distance_m, elapsed_s, moving_s, avg_speed_mps, created_at, updated_at)
            SELECT %(id)s, id, 'completed', region, %(started_at)s, %(ended_at)s, %(start_lat)s, %(start_lon)s,
                %(end_lat)s, %(end_lon)s, %(distance_m)s, %(elapsed_s)s, %(moving_s)s, %(avg_speed_mps)s,
                %(ended_at)s, %(ended_at)s
            FROM users WHERE id = %(user_id)s
            """,
            [_row(ride, riders[ride.tracker], shift) for ride in rides],
        )
        with cursor.copy(
            "COPY gps_points (ride_id, seq, recorded_at, user_id, lat, lon, received_at) FROM STDIN"
        ) as copy:
            for ride in rides:
                for point in ride.points:
                    copy.write_row(
                        (
                            ride.id,
                            point.seq,
                            point.at + shift,
                            riders[ride.tracker],
                            point.lat,
                            point.lon,
                            ride.ended_at + shift,
                        )
                    )
    return {"rides", "gps_points"}


def shift_days(rides: Sequence[Ride], today: dt.date) -> dt.timedelta:
    """The whole number of days between the file's last day (UTC) and the day before ``today``."""
    last = max(ride.ended_at for ride in rides)
    return (today - dt.timedelta(days=1)) - last.date()


def read_rides(file: Path) -> list[Ride]:
    """The trips of the file, by their number."""
    trips: dict[int, list[Point]] = {}
    for point in _points(file):
        trip = trips.setdefault(point.trip, [])
        if trip:
            before = trip[-1]
            if point.tracker != before.tracker:
                _refuse(file, point.line, "tracker", f"trip {point.trip} belongs to tracker {before.tracker}")
            if point.seq <= before.seq:
                _refuse(file, point.line, "sequence", f"{point.seq} follows {before.seq} of the same trip")
            if point.at < before.at:
                _refuse(file, point.line, "t", f"{point.at} is before the trip's previous point at {before.at}")
        trip.append(point)
    if not trips:
        raise DemoError(f"{file}: line 2: no point follows the header", hint=_HINT)
    return [_ride(trip) for _, trip in sorted(trips.items())]


def distance_m(a: Point, b: Point) -> float:
    """Great-circle distance by the haversine formula."""
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    half = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b.lon - a.lon) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(half))


_HINT = "Compare it with the original, or fill without real data."
_COLUMNS = ("X", "Y", "sequence", "trajectory_id", "tracker", "t")


def _points(file: Path) -> Iterator[Point]:
    try:
        with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
            reader = csv.reader(lines, delimiter=";", strict=True)
            header = next(reader, [])
            for column in _COLUMNS:
                if header.count(column) != 1:
                    _refuse(file, 1, column, f"the header names it {header.count(column)} times")
            for values in reader:
                if len(values) != len(header):
                    raise DemoError(
                        f"{file}: line {reader.line_num}: {len(values)} values under {len(header)} columns", hint=_HINT
                    )
                yield _point(file, reader.line_num, dict(zip(header, values, strict=True)))
    except FileNotFoundError:
        raise DemoError(
            f"{file} is missing", hint="Name the folder that holds it, or fill without real data."
        ) from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DemoError(f"{file} cannot be read as gzip-compressed CSV: {error}", hint=_HINT) from None


def _point(file: Path, line: int, row: dict[str, str]) -> Point:
    def number(column: str, kind: type[T], low: T, high: T) -> T:
        try:
            value = kind(row[column])
        except ValueError:
            _refuse(file, line, column, f"{row[column]!r} is no number")
        if not low <= value <= high:
            _refuse(file, line, column, f"{row[column]} is not between {low} and {high}")
        return value

    try:
        at = dt.datetime.fromisoformat(row["t"])
    except ValueError:
        _refuse(file, line, "t", f"{row['t']!r} is no time")
    if at.tzinfo is None:
        _refuse(file, line, "t", f"{row['t']!r} lacks its offset from UTC")
    most = 2**31 - 1
    return Point(
        line=line,
        trip=number("trajectory_id", int, 1, most),
        tracker=number("tracker", int, 0, most),
        seq=number("sequence", int, 1, most),
        at=at.astimezone(dt.UTC),
        lat=number("Y", float, -90.0, 90.0),
        lon=number("X", float, -180.0, 180.0),
    )


def _ride(points: Sequence[Point]) -> Ride:
    distance, moving = 0.0, 0.0
    for a, b in pairwise(points):
        step, seconds = distance_m(a, b), (b.at - a.at).total_seconds()
        distance += step
        if seconds > 0 and step / seconds >= MOVING_MPS:
            moving += seconds
    return Ride(points[0].trip, points[0].tracker, tuple(points), distance, int(moving))


def _row(ride: Ride, user_id: int, shift: dt.timedelta) -> dict[str, object]:
    first, last = ride.points[0], ride.points[-1]
    return {
        "id": ride.id,
        "user_id": user_id,
        "started_at": ride.started_at + shift,
        "ended_at": ride.ended_at + shift,
        "start_lat": first.lat,
        "start_lon": first.lon,
        "end_lat": last.lat,
        "end_lon": last.lon,
        "distance_m": ride.distance_m,
        "elapsed_s": int((ride.ended_at - ride.started_at).total_seconds()),
        "moving_s": ride.moving_s,
        "avg_speed_mps": ride.distance_m / ride.moving_s if ride.moving_s else None,
    }


def _riders(connection: psycopg.Connection, rides: Sequence[Ride]) -> dict[int, int]:
    """Which user rode with which tracker."""
    trackers = sorted({ride.tracker for ride in rides})
    row = connection.execute("SELECT count(*) FROM users WHERE id <= %s", [len(trackers)]).fetchone()
    if row is None or row[0] < len(trackers):
        raise DemoError(f"{len(trackers)} trackers need as many users", hint="Fill at a larger scale.")
    return {tracker: user_id for user_id, tracker in enumerate(trackers, start=1)}


def _refuse(file: Path, line: int, column: str, what: str) -> NoReturn:
    raise DemoError(f"{file}: line {line}, column {column}: {what}", hint=_HINT)
