"""What marts must say, computed in plain Python from the rows of the operational tables.

What belongs here: the definitions of the metrics, written a second time and in another way than in dbt: one pass over
the rows of one table at a time, exact fractions, no SQL. What does not: where the rows come from (``rows_of`` is the
caller's), and how the marts are read.

Two ways lead to the same figures only if both are right, or wrong in the same way; that is why nothing is shared.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from independence import Figures, IndependentMart, RowsOf, mean, rounded, seconds
from independent_rides import RIDE_MARTS
from independent_shop import SHOP_MARTS


def places(amounts: Mapping[Any, Any]) -> dict[Any, int]:
    """The place of each key, the largest amount first; equal amounts share a place, and the next is skipped."""
    return {key: 1 + sum(other > amount for other in amounts.values()) for key, amount in amounts.items()}


def rider_leaderboard(rows_of: RowsOf) -> Figures:
    """Active riders: earnings, delivered orders, mean rating (0 when none), places and what today (UTC) did to them."""
    columns = ("rider_id", "name", "city", "total_earnings", "completed_orders", "avg_rating", "ratings_left_out")
    riders = {
        rider: {column: figures[column] for column in columns}
        for rider, figures in rider_performance_summary(rows_of).items()
        if figures["status"] == "active"
    }
    today: dict[int, Decimal] = defaultdict(Decimal)
    for entry in rows_of("wallet_ledger"):
        booked_on = entry["created_at"].astimezone(dt.UTC).date()
        if entry["entry_type"] == "earning" and booked_on >= dt.datetime.now(dt.UTC).date():
            today[entry["rider_id"]] += entry["amount"]
    now = {rider: figures["total_earnings"] for rider, figures in riders.items()}
    before = {rider: amount - today[rider] for rider, amount in now.items()}
    for rider, figures in riders.items():
        neighbours = [other for other, row in riders.items() if row["city"] == figures["city"]]
        city_now, city_before = (places({other: amounts[other] for other in neighbours}) for amounts in (now, before))
        figures["city_rank"] = city_now[rider]
        figures["city_rank_movement"] = city_before[rider] - city_now[rider]
    place_now, place_before = places(now), places(before)
    for rider, figures in riders.items():
        figures["earnings_rank"] = place_now[rider]
        figures["rank_movement"] = place_before[rider] - place_now[rider]
    return riders


def rider_performance_summary(rows_of: RowsOf) -> Figures:
    """All riders: orders by outcome, completion rate, earnings, mean of the ratings from 1 to 5, hours on duty."""
    total: dict[int, set[int]] = defaultdict(set)
    completed: dict[int, set[int]] = defaultdict(set)
    cancelled: dict[int, set[int]] = defaultdict(set)
    for order in rows_of("orders"):
        total[order["rider_id"]].add(order["id"])
        if order["status"] == "delivered":
            completed[order["rider_id"]].add(order["id"])
        elif order["status"] == "cancelled":
            cancelled[order["rider_id"]].add(order["id"])
    earned: dict[int, Decimal] = defaultdict(Decimal)
    for entry in rows_of("wallet_ledger"):
        if entry["entry_type"] == "earning":
            earned[entry["rider_id"]] += entry["amount"]
    stars: dict[int, list[Fraction]] = defaultdict(list)
    left_out: dict[int, int] = defaultdict(int)
    for rating in rows_of("ratings"):
        if 1 <= rating["rating"] <= 5:
            stars[rating["rider_id"]].append(Fraction(rating["rating"]))
        else:
            left_out[rating["rider_id"]] += 1
    on_duty: dict[int, Fraction] = defaultdict(Fraction)
    for shift in rows_of("duty_logs"):
        if shift["ended_at"] is not None and shift["ended_at"] >= shift["started_at"]:
            on_duty[shift["rider_id"]] += seconds(shift["ended_at"] - shift["started_at"])
    figures: Figures = {}
    for rider in rows_of("riders"):
        key = rider["id"]
        orders = len(total[key])
        figures[key] = {
            "rider_id": key,
            "name": rider["name"],
            "city": rider["city"],
            "status": rider["status"],
            "total_orders": orders,
            "completed_orders": len(completed[key]),
            "cancelled_orders": len(cancelled[key]),
            "completion_rate": rounded(Fraction(len(completed[key]), orders or 1), 4),
            "total_earnings": earned[key],
            "avg_rating": rounded(mean(stars[key]) or Fraction(0), 2),
            "ratings_left_out": left_out[key],
            "on_duty_hours": rounded(on_duty[key] / 3600, 2),
        }
    return figures


_RIDER_TABLES = {
    "riders": ("id", "name", "city", "status"),
    "orders": ("id", "rider_id", "status"),
    "wallet_ledger": ("rider_id", "entry_type", "amount", "created_at"),
    "ratings": ("rider_id", "rating"),
    "duty_logs": ("rider_id", "started_at", "ended_at"),
}

INDEPENDENT_MARTS: Mapping[str, IndependentMart] = {
    "rider_leaderboard": IndependentMart("logistics", "rider_id", _RIDER_TABLES, rider_leaderboard),
    "rider_performance_summary": IndependentMart("logistics", "rider_id", _RIDER_TABLES, rider_performance_summary),
    "user_ride_stats": RIDE_MARTS["user_ride_stats"],
    **SHOP_MARTS,
}
