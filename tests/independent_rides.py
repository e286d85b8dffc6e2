"""What the marts of rides must say, computed in plain Python from the rows of the operational tables.

What belongs here: the definitions, written a second time and in another way than in dbt: whole rides in lists, no SQL,
no sums of months. What does not: what the samples of a ride say (``independent_tracks``), and where the rows come from.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from independence import Figures, IndependentMart, Row, RowsOf, mean, rounded, rounded_or_none

ZERO = Fraction(0)


def _day(moment: dt.datetime) -> dt.date:
    return moment.astimezone(dt.UTC).date()


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _decimal(value: float | None, digits: int, decimals: int) -> Fraction | None:
    """What PostgreSQL makes of a float as numeric, rounded to so many decimals."""
    if value is None:
        return None
    return Fraction(Decimal(f"{value:.{digits}g}").quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


@dataclass(frozen=True)
class Ridden:
    """A completed ride of bikenode."""

    user: int
    region: str
    at: dt.datetime
    metres: Fraction | None
    climb: Fraction | None
    moving: int | None
    fastest: Fraction | None
    power: int | None
    shown: bool
    possible: bool


def _ridden(rows_of: RowsOf) -> list[Ridden]:
    rides: list[Ridden] = []
    for row in rows_of("rides"):
        if row["status"] != "completed":
            continue
        distance, climb = _decimal(row["distance_m"], 15, 3), _decimal(row["elevation_gain_m"], 6, 3)
        fastest, moving = _decimal(row["max_speed_mps"], 6, 3), row["moving_s"]
        backwards = row["ended_at"] is not None and row["ended_at"] < row["started_at"]
        negative = any(value is not None and value < 0 for value in (distance, climb, moving))
        too_fast = bool(moving) and distance is not None and distance > 45 * moving
        rides.append(
            Ridden(
                row["user_id"], row["region"], row["started_at"], distance, climb, moving,
                fastest if fastest is not None and 0 <= fastest <= 45 else None,
                row["avg_power_w"], row["visibility"] != "private", not (backwards or negative or too_fast),
            )
        )  # fmt: skip
    return rides


def _total(values: Iterable[Fraction | int | None]) -> Fraction:
    return sum((Fraction(value) for value in values if value is not None), ZERO)


def _speed(rides: Sequence[Ridden], least_m: int = 0) -> Decimal | None:
    timed = [ride for ride in rides if ride.moving and ride.metres is not None]
    distance, time = _total(ride.metres for ride in timed), _total(ride.moving for ride in timed)
    return rounded(distance / time * Fraction(18, 5), 2) if time and distance >= least_m else None


def bikenode_ride_stats(rows_of: RowsOf) -> Figures:
    """All users: what they rode."""
    rides: dict[int, list[Ridden]] = defaultdict(list)
    for ride in _ridden(rows_of):
        rides[ride.user].append(ride)
    bikes: dict[int, int] = defaultdict(int)
    for bike in rows_of("bikes"):
        bikes[bike["user_id"]] += bike["retired_on"] is None
    figures: Figures = {}
    for user in rows_of("users"):
        key = user["id"]
        ridden = [ride for ride in rides[key] if ride.possible]
        powered = [(ride.power, ride.moving) for ride in ridden if ride.power is not None and ride.moving]
        fastest = max((ride.fastest for ride in ridden if ride.fastest is not None), default=None)
        longest = max((ride.metres for ride in ridden if ride.metres is not None), default=None)
        figures[key] = {
            "user_id": key,
            "username": user["username"],
            "region": user["region"],
            "total_rides": len(ridden),
            "rides_left_out": len(rides[key]) - len(ridden),
            "total_distance_km": rounded(_total(ride.metres for ride in ridden) / 1000, 3),
            "total_elevation_gain_m": rounded(_total(ride.climb for ride in ridden), 1),
            "total_moving_hours": rounded(_total(ride.moving for ride in ridden) / 3600, 2),
            "avg_speed_kmh": _speed(ridden),
            "max_speed_kmh": rounded_or_none(None if fastest is None else fastest * Fraction(18, 5), 2),
            "avg_power_w": rounded(Fraction(sum(p * s for p, s in powered), sum(s for _, s in powered)), 0)
            if powered
            else None,
            "longest_ride_km": rounded_or_none(None if longest is None else longest / 1000, 3),
            "last_ride_date": max((_day(ride.at) for ride in ridden), default=None),
            "bikes_in_use": bikes[key],
        }
    return figures


def bikenode_daily_activity(rows_of: RowsOf) -> Figures:
    """The last 365 days, by the region of the rides."""
    cells: dict[tuple[dt.date, str], list[Ridden]] = defaultdict(list)
    for ride in _ridden(rows_of):
        if 0 <= (_today() - _day(ride.at)).days < 365:
            cells[_day(ride.at), ride.region].append(ride)
    return {
        (day, region): {
            "day": day,
            "region": region,
            "rides": len(possible := [ride for ride in rides if ride.possible]),
            "riders": len({ride.user for ride in possible}),
            "rides_left_out": len(rides) - len(possible),
            "distance_km": rounded(_total(ride.metres for ride in possible) / 1000, 3),
            "elevation_gain_m": rounded(_total(ride.climb for ride in possible), 1),
            "moving_hours": rounded(_total(ride.moving for ride in possible) / 3600, 2),
        }
        for (day, region), rides in cells.items()
    }


def bikenode_leaderboard(rows_of: RowsOf) -> Figures:
    """Active users by period, with their places in their region and overall."""
    today = _today()
    starts = {"week": today - dt.timedelta(days=today.weekday()), "month": today.replace(day=1), "all_time": None}
    users = {user["id"]: user for user in rows_of("users") if user["is_active"]}
    shown = [ride for ride in _ridden(rows_of) if ride.shown and ride.possible and ride.user in users]
    figures: Figures = {}
    for period, start in starts.items():
        rides: dict[int, list[Ridden]] = defaultdict(list)
        for ride in shown:
            if start is None or _day(ride.at) >= start:
                rides[ride.user].append(ride)
        rows = [
            {
                "period": period,
                "period_start": start,
                "region": users[user]["region"],
                "user_id": user,
                "username": users[user]["username"],
                "total_rides": len(ridden),
                "distance_km": rounded(_total(ride.metres for ride in ridden) / 1000, 3),
                "elevation_gain_m": rounded(_total(ride.climb for ride in ridden), 1),
                "avg_speed_kmh": _speed(ridden, least_m=10_000),
            }
            for user, ridden in rides.items()
        ]
        for row in rows:
            neighbours = [other for other in rows if other["region"] == row["region"]]
            for name, column in (
                ("distance", "distance_km"), ("elevation", "elevation_gain_m"), ("speed", "avg_speed_kmh"),
            ):  # fmt: skip
                row[f"{name}_rank"] = _place(row, neighbours, column)
                row[f"overall_{name}_rank"] = _place(row, rows, column)
            figures[period, row["user_id"]] = row
    return figures


def _place(row: Row, among: Sequence[Row], column: str) -> int | None:
    if row[column] is None:
        return None
    return 1 + sum(other[column] is not None and other[column] > row[column] for other in among)


def _impossible(ride: Row) -> bool:
    """A motorcycle's ride that cannot have been."""
    distance, speed, end = ride["distance_km"], ride["avg_speed_kmh"], ride["ended_at"]
    return (
        (end is not None and end < ride["started_at"])
        or (distance is not None and distance < 0)
        or (speed is not None and not 0 <= speed <= 400)
    )


def user_ride_stats(rows_of: RowsOf) -> Figures:
    """All users: rides, their distance, their mean speed, the day (UTC) of the latest."""
    rides: dict[int, list[Row]] = defaultdict(list)
    left_out: dict[int, int] = defaultdict(int)
    for ride in rows_of("rides"):
        if _impossible(ride):
            left_out[ride["user_id"]] += 1
        else:
            rides[ride["user_id"]].append(ride)
    figures: Figures = {}
    for user in rows_of("users"):
        ridden = rides[user["id"]]
        speed = mean([Fraction(ride["avg_speed_kmh"]) for ride in ridden if ride["avg_speed_kmh"] is not None])
        figures[user["id"]] = {
            "id": user["id"],
            "username": user["username"],
            "total_rides": len(ridden),
            "rides_left_out": left_out[user["id"]],
            "total_distance": sum((ride["distance_km"] or Decimal(0) for ride in ridden), Decimal(0)),
            "avg_speed": None if speed is None else rounded(speed, 2),
            "last_ride_date": max((_day(ride["started_at"]) for ride in ridden), default=None),
        }
    return figures


def throttlecove_daily_activity(rows_of: RowsOf) -> Figures:
    """The last 365 days on which anything happened."""
    happened: dict[str, dict[dt.date, list[Row]]] = {}
    sources: list[tuple[str, str, str, Callable[[Row], bool]]] = [
        ("rides", "rides", "started_at", lambda ride: not _impossible(ride)),
        ("rides_left_out", "rides", "started_at", _impossible),
        ("posts", "posts", "created_at", lambda _: True),
        ("group_messages", "group_messages", "sent_at", lambda message: message["withdrawn_at"] is None),
        ("new_users", "users", "created_at", lambda _: True),
        ("messages at all", "group_messages", "sent_at", lambda _: True),
    ]
    for name, table, moment, counts in sources:
        days = happened.setdefault(name, defaultdict(list))
        for row in rows_of(table):
            if counts(row):
                days[_day(row[moment])].append(row)
    found = {day for days in happened.values() for day in days if 0 <= (_today() - day).days < 365}
    return {
        day: {
            "day": day,
            **{name: len(happened[name][day]) for name, *_ in sources[:-1]},
            "riders": len({ride["user_id"] for ride in happened["rides"][day]}),
            "distance_km": sum((ride["distance_km"] or Decimal(0) for ride in happened["rides"][day]), Decimal(0)),
        }
        for day in found
    }


_RIDES = (
    "id", "user_id", "status", "visibility", "region", "started_at", "ended_at", "distance_m", "moving_s",
    "elevation_gain_m", "max_speed_mps", "avg_power_w",
)  # fmt: skip
_CYCLING = {
    "users": ("id", "username", "region", "is_active"),
    "bikes": ("user_id", "retired_on"),
    "rides": _RIDES,
}
_RIDE_TABLES = {
    "users": ("id", "username"),
    "rides": ("user_id", "started_at", "ended_at", "distance_km", "avg_speed_kmh"),
}
_COMMUNITY = {
    "users": ("id", "created_at"),
    "posts": ("id", "created_at"),
    "group_messages": ("id", "sent_at", "withdrawn_at"),
    "rides": ("user_id", "started_at", "ended_at", "distance_km", "avg_speed_kmh"),
}

RIDE_MARTS: Mapping[str, IndependentMart] = {
    "bikenode_daily_activity": IndependentMart("bikenode", ("day", "region"), _CYCLING, bikenode_daily_activity),
    "bikenode_leaderboard": IndependentMart("bikenode", ("period", "user_id"), _CYCLING, bikenode_leaderboard),
    "bikenode_ride_stats": IndependentMart("bikenode", "user_id", _CYCLING, bikenode_ride_stats),
    "throttlecove_daily_activity": IndependentMart("throttlecove", "day", _COMMUNITY, throttlecove_daily_activity),
    "user_ride_stats": IndependentMart("throttlecove", "id", _RIDE_TABLES, user_ride_stats),
}
