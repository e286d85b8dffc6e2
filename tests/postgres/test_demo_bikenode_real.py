"""bikenode's real rides: every point of the file is in the database, and every ride is what its points say.

The file is read here a second time, by other means than ``demo.bikenode.real``.
"""

from __future__ import annotations

import datetime as dt
import gzip
import math
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from demo.generate import fill

pytestmark = pytest.mark.real_data

TODAY = dt.date(2026, 3, 31)


def independent_reading(folder: Path) -> list[tuple[int, int, dt.datetime, float, float, str]]:
    """(trip, sequence, time, lat, lon, tracker) of every line, split by hand."""
    lines = gzip.decompress((folder / "geolife_tracks.csv.gz").read_bytes()).decode().splitlines()
    assert lines[0].split(";") == ["X", "Y", "fid", "id", "sequence", "trajectory_id", "tracker", "t"]
    points: list[tuple[int, int, dt.datetime, float, float, str]] = []
    for line in lines[1:]:
        x, y, _, _, sequence, trip, tracker, t = line.split(";")
        at = dt.datetime.strptime(t + "00", "%Y-%m-%d %H:%M:%S%z")
        points.append((int(trip), int(sequence), at, float(y), float(x), tracker))
    return points


@pytest.fixture
def database(empty_database: str, real_data: Path) -> str:
    fill(empty_database, "bikenode", seed=7, scale=0.01, today=TODAY, real=real_data)
    return empty_database


def test_rides_and_points_are_those_of_the_file(database: str, real_data: Path) -> None:
    points = independent_reading(real_data)
    shift = dt.datetime(2026, 3, 30) - max(point[2] for point in points).replace(
        tzinfo=None, hour=0, minute=0, second=0
    )
    assert shift.seconds == 0
    with psycopg.connect(database, options="-c timezone=UTC") as connection:
        loaded = connection.execute(
            "SELECT ride_id, seq, recorded_at, lat, lon, user_id, elevation_m, speed_mps, accuracy_m"
            " FROM gps_points ORDER BY 1, 2"
        ).fetchall()
        rides = connection.execute(
            "SELECT id, user_id, started_at, ended_at, distance_m, elapsed_s, moving_s, avg_speed_mps::float,"
            " start_lat, end_lon FROM rides ORDER BY id"
        ).fetchall()
        absent = connection.execute(
            "SELECT num_nonnulls(elevation_gain_m, elevation_loss_m, max_speed_mps, avg_power_w, max_power_w, device)"
            " FROM rides"
        ).fetchall()

    riders = {tracker: number for number, tracker in enumerate(sorted({p[5] for p in points}, key=int), start=1)}
    assert len(loaded) == len(points) == 5908
    assert loaded == [
        (trip, sequence, at + shift, lat, lon, riders[tracker], None, None, None)
        for trip, sequence, at, lat, lon, tracker in sorted(points)
    ]

    trips: dict[int, list[tuple[int, int, dt.datetime, float, float, str]]] = defaultdict(list)
    for point in sorted(points):
        trips[point[0]].append(point)
    assert [ride[0] for ride in rides] == sorted(trips) == [1, 2, 3, 4, 5]
    assert absent == [(0,)] * 5
    for trip, user_id, started_at, ended_at, distance, elapsed, moving, speed, start_lat, end_lon in rides:
        track = trips[trip]
        steps = [
            (spherical_distance(a[3], a[4], b[3], b[4]), (b[2] - a[2]).total_seconds()) for a, b in pairwise(track)
        ]
        assert user_id == riders[track[0][5]]
        assert (started_at, ended_at) == (track[0][2] + shift, track[-1][2] + shift)
        assert elapsed == (track[-1][2] - track[0][2]).total_seconds()
        assert distance == pytest.approx(sum(length for length, _ in steps), rel=1e-6)
        assert moving == sum(seconds for length, seconds in steps if seconds and length / seconds >= 0.5)
        assert speed == pytest.approx(distance / moving, rel=1e-5)
        assert (start_lat, end_lon) == (track[0][3], track[-1][4])


def spherical_distance(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """By the angle between two unit vectors, which needs no haversine."""

    def vector(lat: float, lon: float) -> tuple[float, float, float]:
        lat, lon = math.radians(lat), math.radians(lon)
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)

    return 6_371_008.8 * 2 * math.asin(math.dist(vector(lat_a, lon_a), vector(lat_b, lon_b)) / 2)


def test_what_the_file_lacks_is_generated_around_it(database: str) -> None:
    with psycopg.connect(database) as connection:
        row = connection.execute(
            """
            SELECT (SELECT count(*) FROM sensor_readings), (SELECT count(*) FROM media WHERE ride_id IS NOT NULL),
                (SELECT count(*) FROM sensor_readings AS s WHERE NOT EXISTS (
                    SELECT FROM rides AS r WHERE r.id = s.ride_id AND r.user_id = s.user_id
                        AND s.recorded_at BETWEEN r.started_at AND r.ended_at)),
                (SELECT count(*) FROM users), (SELECT count(*) FROM weather_observations)
            """
        ).fetchone()
    assert row is not None
    readings, photos, astray, users, weather = row
    assert astray == 0
    assert min(readings, photos, users, weather) > 0
