"""Hints say what there is, in a line."""

from __future__ import annotations

import pytest

from warehouse.errors import listed

MONTHS = [f"{year}-{month:02}" for year in (2023, 2024, 2025) for month in range(1, 13)]


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        ([], "x", "none"),
        (["b", "a"], "x", "b, a"),
        (MONTHS[:10], "2024-01", ", ".join(MONTHS[:10])),
    ],
)
def test_few_names_are_all_told(names: list[str], asked: str, said: str) -> None:
    assert listed(names, asked) == said


def test_of_many_names_the_nearest_are_told() -> None:
    shop = ("orders", "order_items", "products", "vendors", "customers", "shops", "payments", "reviews")
    names = [*(f"shop.{name}" for name in shop), "logistics.orders", "logistics.riders", "bikenode.rides"]
    assert listed(names, "shop.ordres").startswith("shop.orders, ")
    told, _, count = listed(MONTHS, "2024-13").partition(" (")
    assert len(told.split(", ")) == 5
    assert "2024-12" in told
    assert count == "the nearest of 36)"


def test_names_that_are_like_nothing_are_told_all_the_same() -> None:
    assert len(listed(MONTHS, "").split(", ")) == 5
