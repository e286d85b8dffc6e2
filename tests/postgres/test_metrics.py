"""The semantic layer's metrics against the marts, on a built warehouse.

What belongs here: that metric and mart say the same. What does not: whether the marts are right (``test_marts``).
"""

from __future__ import annotations

import datetime as dt
import json
import socket
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from analysts import Warehouse

from resources.metrics import metric_sql, metrics
from warehouse.errors import ConfigurationError

Rows = dict[tuple[str, ...], dict[str, Any]]

#: A mart's key, the same key as dimensions, and which of its columns is which metric. Ratios are rounded in marts.
PAIRS: list[tuple[str, list[str], list[str], dict[str, str]]] = [
    (
        "rider_performance_summary",
        ["rider_id"],
        ["rider"],
        {
            "total_orders": "assigned_orders",
            "completed_orders": "completed_orders",
            "completion_rate": "completion_rate",
            "total_earnings": "total_earnings",
            "avg_rating": "avg_rider_rating",
            "on_duty_hours": "on_duty_hours",
        },
    ),
    (
        "shop_analytics",
        ["shop_id", "currency"],
        ["shop", "shop_month__currency"],
        {
            "total_orders": "delivered_shop_orders",
            "avg_order_value": "avg_order_value",
            "avg_fulfillment_time": "avg_fulfillment_time",
        },
    ),
    ("user_ride_stats", ["id"], ["motorcyclist"], {"total_rides": "rides", "total_distance": "ride_distance"}),
    (
        "bikenode_ride_stats",
        ["user_id"],
        ["cyclist"],
        {
            "total_rides": "cycling_rides",
            "total_distance_km": "cycling_distance",
            "total_elevation_gain_m": "cycling_elevation_gain",
            "total_moving_hours": "cycling_moving_hours",
            "avg_speed_kmh": "avg_cycling_speed",
        },
    ),
    (
        "card_price_months",
        ["card_id", "condition", "month"],
        ["card", "card_price_month__condition", "metric_time__month"],
        {"observations": "card_price_observations", "avg_price": "avg_card_price"},
    ),
]
#: What ratios are made of, and what is counted beside a mart's rows below.
BESIDE = {
    "rider_ratings_counted", "rider_stars_given", "valued_shop_orders", "shop_order_value", "timed_shop_orders",
    "fulfillment_seconds", "active_riders", "active_motorcyclists",
    "timed_cycling_distance", "timed_cycling_hours", "active_cyclists", "card_prices_summed",
}  # fmt: skip


def manifest(modelled: Warehouse) -> Path:
    return modelled.artifacts / "target" / "manifest.json"


def rows(connection: psycopg.Connection[Any], query: str, keys: Sequence[str]) -> Rows:
    cursor = connection.execute(query.encode())
    assert cursor.description is not None
    names = [column.name for column in cursor.description]
    found = (dict(zip(names, row, strict=True)) for row in cursor)
    return {tuple(_told(row[key]) for key in keys): row for row in found}


def _told(value: Any) -> str:
    """A metric's month is a moment, a mart's a day."""
    return str(value.date() if isinstance(value, dt.datetime) else value)


@pytest.mark.parametrize(
    ("mart", "key", "by", "same"), PAIRS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_metric_and_mart_agree(
    modelled: Warehouse, mart: str, key: list[str], by: list[str], same: dict[str, str]
) -> None:
    with psycopg.connect(modelled.platform) as connection:
        marts = rows(connection, f"SELECT * FROM marts.{mart}", key)
        computed = rows(connection, metric_sql(manifest(modelled), list(same.values()), by), by)
    compared = 0
    for which, row in marts.items():
        for column, metric in same.items():
            value = computed.get(which, {}).get(metric)
            shown = Decimal(row[column] or 0)
            exact = Decimal(str(value or 0))
            # A mart rounds to the decimals that it shows; a metric does not.
            assert abs(shown - exact) <= Decimal(1).scaleb(shown.as_tuple().exponent) / 2 + Decimal("1e-9"), (
                which,
                column,
            )  # type: ignore[operator]
            compared += value is not None and value != 0
    assert compared > 3 * len(same), "too little to prove anything"


def test_every_metric_is_compared(modelled: Warehouse) -> None:
    compared = {metric for *_, same in PAIRS for metric in same.values()}
    assert compared | BESIDE == {metric.name for metric in metrics(manifest(modelled))}


def test_a_person_active_in_two_months_counts_once(modelled: Warehouse) -> None:
    query = metric_sql(manifest(modelled), ["active_riders", "active_motorcyclists"])
    by_month = metric_sql(manifest(modelled), ["active_riders"], ["metric_time__month"])
    with psycopg.connect(modelled.platform) as connection:
        expected = connection.execute(
            "SELECT (SELECT count(*) FROM marts.rider_performance_summary WHERE completed_orders > 0),"
            " (SELECT count(*) FROM marts.user_ride_stats WHERE total_rides > 0)"
        ).fetchone()
        assert connection.execute(query.encode()).fetchone() == expected
        months = rows(connection, by_month, ["metric_time__month"])
    assert expected is not None
    assert sum(row["active_riders"] for row in months.values()) > expected[0]


def test_metrics_stand_on_sums_that_stay_when_months_leave(modelled: Warehouse) -> None:
    """No metric with a measure reads raw history."""
    content = json.loads(manifest(modelled).with_name("semantic_manifest.json").read_text())
    read = {model["node_relation"]["alias"] for model in content["semantic_models"] if model["measures"]}
    assert read
    assert all(name.startswith("int_") and name.endswith("_months") for name in read)


def test_writing_sql_opens_no_connection(modelled: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    query = metric_sql(
        manifest(modelled), ["completed_orders"], ["rider__city"], ["{{ Dimension('rider__city') }} = 'Pune'"]
    )
    assert "'Pune'" in query


def test_every_metric_says_what_it_is_and_what_by(modelled: Warehouse) -> None:
    for metric in metrics(manifest(modelled)):
        assert metric.description.endswith(".") and "metric_time__month" in metric.by, metric


def test_an_unknown_metric_is_refused_in_words(modelled: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match="happiness"):
        metric_sql(manifest(modelled), ["happiness"])


def test_a_dimension_that_a_metric_does_not_have_is_refused_with_those_it_has(modelled: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match="completed_orders cannot be computed by 'rider__cty'") as refused:
        metric_sql(manifest(modelled), ["completed_orders", "total_earnings"], ["metric_time__year", "rider__cty"])
    assert refused.value.hint is not None
    assert "rider__city" in refused.value.hint and "metric_time__quarter" in refused.value.hint
    assert "\n" not in refused.value.hint
