"""Riders' marts and the facts of deliveries, built from the real deliveries, against figures straight from the file.

What the file does not tell (fees, hand-overs, states of accounts, shifts) is not proved here: see
``test_card_and_delivery_marts``.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import asin, cos, radians, sin, sqrt
from pathlib import Path
from typing import Any

import psycopg
import pytest
from independent_marts import rounded
from mart_runs import fresh_database, plain_rows, run_dbt

from demo.generate import fill
from demo.servers import Servers
from warehouse.catalog.loader import load_catalog
from warehouse.ingest import ingest_table
from warehouse.ingest.snapshot import open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate

pytestmark = pytest.mark.real_data

TODAY = dt.datetime.now(dt.UTC).date()
INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
TABLES = ("riders", "orders", "wallet_ledger", "ratings", "duty_logs")
MARTS = (
    "rider_leaderboard",
    "rider_performance_summary",
    "fct_deliveries",
    "logistics_hourly_demand",
    "logistics_daily",
)
Row = dict[str, Any]


@dataclass(frozen=True)
class Real:
    """What the marts say and what the file says.

    Attributes:
        marts: rows by mart.
        riders: number in the roster by the rider's key.
        states: account state by number in the roster.
        references: reference by the order's key.
        file: the file's rows, blanks stripped.
    """

    marts: dict[str, list[Row]]
    riders: dict[int, str]
    states: dict[str, str]
    references: dict[int, str]
    file: list[dict[str, str]]

    @property
    def newest(self) -> dt.date:
        """The file's last day."""
        return max(map(_day, self.file))


@pytest.fixture(scope="module")
def real(servers: Servers, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """The real deliveries, ingested and built."""
    with ExitStack() as stack:
        source = stack.enter_context(fresh_database(servers, "operational"))
        warehouse = stack.enter_context(fresh_database(servers, "warehouse"))
        fill(source, "logistics", seed=7, scale=0.01, today=TODAY, real=real_data)
        with connect(Dsn(warehouse)) as connection:
            migrate(connection)
        with open_snapshot(Dsn(source)) as snapshot:
            for table in TABLES:
                ingest_table(snapshot, Dsn(warehouse), load_catalog().systems["logistics"], table)
        chosen = ["--select", *(f"+{mart}" for mart in MARTS), "--exclude-resource-type", "unit_test"]
        run = run_dbt(warehouse, tmp_path_factory.mktemp("dbt"), "build", *chosen)
        assert run.code == 0, run.output
        with psycopg.connect(source) as connection:
            riders = list(plain_rows(connection, "public", "riders", ("id", "external_id", "status")))
            orders = list(plain_rows(connection, "public", "orders", ("id", "external_ref")))
        with psycopg.connect(warehouse) as connection:
            marts = {mart: [dict(row) for row in plain_rows(connection, "marts", mart)] for mart in MARTS}
        with gzip.open(real_data / "deliveries.csv.gz", "rt", newline="") as stream:
            file = [{name: value.strip() for name, value in row.items()} for row in csv.DictReader(stream)]
        yield Real(
            marts,
            {row["id"]: row["external_id"] for row in riders},
            {row["external_id"]: row["status"] for row in riders},
            {row["id"]: row["external_ref"] for row in orders},
            file,
        )


def test_riders_orders_and_ratings_are_the_files(real: Real) -> None:
    """Couriers by their number: deliveries, mean of the ratings from 1 to 5, sixes counted, missing ones nothing."""
    deliveries = Counter(row["Delivery_person_ID"] for row in real.file)
    stars: dict[str, list[Fraction]] = defaultdict(list)
    sixes: Counter[str] = Counter()
    for row in real.file:
        if row["Delivery_person_Ratings"] != "NaN":
            rating = Fraction(row["Delivery_person_Ratings"])
            if rating <= 5:
                stars[row["Delivery_person_ID"]].append(rating)
            else:
                sixes[row["Delivery_person_ID"]] += 1
    assert sixes.total() > 0

    def mean(courier: str) -> Decimal:
        return rounded(sum(stars[courier]) / len(stars[courier]), 2) if stars[courier] else Decimal(0)

    summary = {real.riders[row["rider_id"]]: row for row in real.marts["rider_performance_summary"]}
    assert len(summary) == 1297
    for courier, row in summary.items():
        counts = (row["total_orders"], row["completed_orders"], row["cancelled_orders"], row["completion_rate"])
        assert counts == (deliveries[courier], deliveries[courier], 0, 1), courier
        assert (row["avg_rating"], row["ratings_left_out"]) == (mean(courier), sixes[courier]), courier
    board = {real.riders[row["rider_id"]]: row for row in real.marts["rider_leaderboard"]}
    assert board.keys() == {courier for courier, state in real.states.items() if state == "active"}
    for courier, row in board.items():
        found = (row["completed_orders"], row["avg_rating"], row["ratings_left_out"])
        assert found == (deliveries[courier], mean(courier), sixes[courier]), courier
        assert row["total_earnings"] == summary[courier]["total_earnings"]


def test_a_riders_earnings_are_the_fees_of_the_files_deliveries(real: Real) -> None:
    fees: dict[str, Decimal] = defaultdict(Decimal)
    courier_of = {row["ID"]: row["Delivery_person_ID"] for row in real.file}
    for row in real.marts["fct_deliveries"]:
        fees[courier_of[real.references[row["order_id"]]]] += row["delivery_fee"]
    summary = real.marts["rider_performance_summary"]
    assert {real.riders[row["rider_id"]]: row["total_earnings"] for row in summary} == fees


def test_deliveries_have_the_files_times_ways_and_ratings(real: Real) -> None:
    expected = {row["ID"]: row for row in real.file}
    found = {real.references[row["order_id"]]: row for row in real.marts["fct_deliveries"]}
    assert found.keys() == expected.keys()
    unrecorded, newest = 0, real.newest
    for reference, row in found.items():
        told = expected[reference]
        placed, picked = _times(told, newest)
        unrecorded += told["Time_Orderd"] == "NaN"
        assert (row["created_at"], row["picked_at"]) == (placed, picked), reference
        assert row["pickup_s"] == (picked - placed).total_seconds()
        assert row["day"] == placed.astimezone(dt.UTC).date()
        assert row["delivery_s"] == row["pickup_s"] + row["ride_s"]
        assert not row["times_left_out"]
        assert abs(row["distance_m"] - _way(told)) <= 1, reference
        assert abs(float(row["ride_s"]) - 60 * (8 + row["distance_m"] / 333)) < 0.001
        rating = None if told["Delivery_person_Ratings"] == "NaN" else Decimal(told["Delivery_person_Ratings"])
        is_six = rating is not None and rating > 5
        assert (row["rating"], row["ratings_left_out"]) == (None if is_six else rating, int(is_six)), reference
        assert row["order_type"] == told["Type_of_order"]
        assert real.riders[row["rider_id"]] == told["Delivery_person_ID"]
    assert unrecorded == 444


def test_hours_and_days_are_the_files(real: Real) -> None:
    """By the clock of India for hours, by that of UTC for days."""
    hours: Counter[tuple[dt.datetime, str]] = Counter()
    days: Counter[dt.date] = Counter()
    newest = real.newest
    for row in real.file:
        placed, _ = _times(row, newest)
        hours[placed.replace(minute=0, second=0), row["Type_of_order"]] += 1
        days[placed.astimezone(dt.UTC).date()] += 1
    demand = real.marts["logistics_hourly_demand"]
    assert {(row["hour"], row["order_type"]): row["delivered_orders"] for row in demand} == hours
    found: Counter[dt.date] = Counter()
    for row in real.marts["logistics_daily"]:
        found[row["day"]] += row["delivered_orders"]
    assert +found == days


def _day(row: dict[str, str]) -> dt.date:
    return dt.datetime.strptime(row["Order_Date"], "%d-%m-%Y").date()


def _times(row: dict[str, str], newest: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """When it was ordered and picked up: the file's local times, its newest day put where yesterday is."""
    day = _day(row) + (TODAY - dt.timedelta(days=1) - newest)
    picked = dt.datetime.combine(day, dt.time.fromisoformat(row["Time_Order_picked"]), INDIA)
    if row["Time_Orderd"] == "NaN":
        placed = picked - dt.timedelta(minutes=10)
        return (placed, picked) if placed.date() == day else (placed + dt.timedelta(1), picked + dt.timedelta(1))
    placed = dt.datetime.combine(day, dt.time.fromisoformat(row["Time_Orderd"]), INDIA)
    return placed, picked if picked >= placed else picked + dt.timedelta(days=1)


def _way(row: dict[str, str]) -> int:
    """The great circle from restaurant to hand-over and three tenths, in metres; some signs were recorded wrongly."""
    north, east, to_north, to_east = (
        radians(abs(float(row[name])))
        for name in (
            "Restaurant_latitude",
            "Restaurant_longitude",
            "Delivery_location_latitude",
            "Delivery_location_longitude",
        )
    )
    chord = sin((to_north - north) / 2) ** 2 + cos(north) * cos(to_north) * sin((to_east - east) / 2) ** 2
    return round(1.3 * 2 * 6371008.8 * asin(sqrt(chord)))
