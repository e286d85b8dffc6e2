"""What the samples of a ride say, computed in plain Python from the rows of the operational tables.

What belongs here: the definitions of ``fct_ride_gps``, written a second time and in another way than in dbt: one ride's
samples in a list, walked one by one, no SQL. What does not: marts of whole rides (``independent_rides``), and where the
rows come from.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from independence import RowsOf

FASTEST = 45.0


@dataclass(frozen=True)
class Sample:
    """Where somebody was."""

    at: dt.datetime
    seq: int
    lat: float
    lon: float
    height: float | None = None


def metres(a: Sample, b: Sample) -> float:
    """Along the sphere, by the angle between two unit vectors, which needs no haversine."""

    def vector(sample: Sample) -> tuple[float, float, float]:
        lat, lon = math.radians(sample.lat), math.radians(sample.lon)
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)

    return 6_371_008.8 * 2 * math.asin(math.dist(vector(a), vector(b)) / 2)


def _too_fast(a: Sample, b: Sample) -> bool:
    return metres(a, b) > FASTEST * (b.at - a.at).total_seconds()


def track(samples: Iterable[Sample], started_at: dt.datetime, ended_at: dt.datetime | None) -> dict[str, Any] | None:
    """What the samples of one ride say; None of none."""
    given = sorted(samples, key=lambda sample: (sample.at, sample.seq))
    if not given:
        return None
    day = dt.timedelta(days=1)
    dated = [s for s in given if s.at >= started_at - day and (ended_at is None or s.at <= ended_at + day)]
    distinct = list({sample.at: sample for sample in reversed(dated)}.values())[::-1]
    kept = [
        sample
        for i, sample in enumerate(distinct)
        if not (0 < i < len(distinct) - 1 and _too_fast(distinct[i - 1], sample) and _too_fast(sample, distinct[i + 1]))
    ]
    covered, moving_m, moving_s, fastest, steps_left_out = [0.0], 0.0, 0.0, None, 0
    stops: list[float] = [0.0]
    for a, b in pairwise(kept):
        step, length = metres(a, b), (b.at - a.at).total_seconds()
        if step / length > FASTEST:
            steps_left_out += 1
            step = 0.0
            stops.append(0.0)
        else:
            fastest = max(fastest or 0.0, step / length)
            if step / length >= 0.5:
                moving_m, moving_s = moving_m + step, moving_s + length
                stops.append(0.0)
            else:
                stops[-1] += length
        covered.append(covered[-1] + step)
    pauses = [stop for stop in stops if stop >= 30]
    return {
        "samples": len(given),
        "samples_left_out": len(given) - len(kept),
        "misdated_left_out": len(given) - len(dated),
        "repeated_left_out": len(dated) - len(distinct),
        "outliers_left_out": len(distinct) - len(kept),
        "steps_left_out": steps_left_out,
        "elapsed_s": (kept[-1].at - kept[0].at).total_seconds() if kept else 0.0,
        "distance_m": covered[-1],
        "moving_s": moving_s,
        "pauses": len(pauses),
        "paused_s": sum(pauses),
        "elevation_gain_m": _climb([(sample.at, sample.height) for sample in kept if sample.height is not None]),
        "avg_moving_speed_kmh": moving_m / moving_s * 3.6 if moving_s else None,
        "max_speed_kmh": None if fastest is None else fastest * 3.6,
        **{f"best_{km}km_s": _split(kept, covered, km * 1000) for km in (1, 5, 10)},
    }


def _climb(heights: Sequence[tuple[dt.datetime, float]]) -> float | None:
    around = dt.timedelta(seconds=15)
    smooth = [
        sum(near) / len(near)
        for at, _ in heights
        if (near := [height for other, height in heights if abs(other - at) <= around])
    ]
    return sum(max(b - a, 0.0) for a, b in pairwise(smooth)) if smooth else None


def _split(kept: Sequence[Sample], covered: Sequence[float], length: float) -> float | None:
    best, start = None, 0
    for end, sample in enumerate(kept):
        while start < end and covered[end] - covered[start + 1] >= length:
            start += 1
        if covered[end] - covered[start] >= length:
            time = (sample.at - kept[start].at).total_seconds()
            best = time if best is None else min(best, time)
    return best


#: How far a figure may be from one of floating point: rounding to the last decimal shown.
TOLERANCES = {
    "distance_m": 0.02,
    "elevation_gain_m": 0.06,
    "avg_moving_speed_kmh": 0.0051,
    "max_speed_kmh": 0.0051,
}


def unlike(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The figures of a track that differ, as (found, expected)."""
    different: dict[str, tuple[Any, Any]] = {}
    for name, value in expected.items():
        same = found[name] is value
        if found[name] is not None and value is not None:
            same = abs(float(found[name]) - value) <= TOLERANCES.get(name, 0.00051)
        if not same:
            different[name] = found[name], value
    return different


def gps_tracks(rows_of: RowsOf) -> dict[int, dict[str, Any]]:
    """What ``fct_ride_gps`` must say of each ride."""
    samples: dict[int, list[Sample]] = defaultdict(list)
    for row in rows_of("gps_points"):
        samples[row["ride_id"]].append(
            Sample(row["recorded_at"], row["seq"], row["lat"], row["lon"], row["elevation_m"])
        )
    return {
        ride["id"]: figures
        for ride in rows_of("rides")
        if (figures := track(samples[ride["id"]], ride["started_at"], ride["ended_at"])) is not None
    }


GPS_TABLES = {
    "rides": ("id", "started_at", "ended_at"),
    "gps_points": ("ride_id", "seq", "recorded_at", "lat", "lon", "elevation_m"),
}
