"""What the shop's marts must say, computed in plain Python from the rows of the operational tables.

What belongs here: the definitions, written a second time and in another way than in dbt: whole tables in dictionaries,
exact fractions, no SQL, no sums of months. What does not: where the rows come from.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from independence import Figures, IndependentMart, Row, RowsOf, mean, rounded, rounded_or_none, seconds


@dataclass
class Part:
    """What of one order is one shop's."""

    order: Row
    items: list[Row] = field(default_factory=list[Row])
    ratings: list[int] = field(default_factory=list[int])

    @property
    def delivered(self) -> bool:
        return self.order["status"] == "delivered"

    @property
    def value(self) -> Decimal | None:
        """Price and freight; None where an amount is negative."""
        if any(min(item["quantity"], item["unit_price"], item["freight"]) < 0 for item in self.items):
            return None
        return sum((item["quantity"] * item["unit_price"] + item["freight"] for item in self.items), Decimal(0))

    @property
    def fulfillment(self) -> Fraction | None:
        """Seconds from order to delivery; None where they run backwards."""
        if self.order["delivered_at"] is None or self.order["delivered_at"] < self.order["created_at"]:
            return None
        return seconds(self.order["delivered_at"] - self.order["created_at"])

    @property
    def lateness(self) -> Fraction | None:
        """Seconds from the promised moment to delivery."""
        if self.fulfillment is None or self.order["estimated_delivery_at"] is None:
            return None
        return seconds(self.order["delivered_at"] - self.order["estimated_delivery_at"])


Parts = dict[Any, list[Part]]


def parts_by_shop(rows_of: RowsOf) -> Parts:
    """The parts of every shop, one for each order with an item of it."""
    orders = {order["id"]: order for order in rows_of("orders")}
    parts: dict[tuple[Any, Any], Part] = {}
    for item in rows_of("order_items"):
        if item["order_id"] not in orders:
            continue
        key = item["shop_id"], item["order_id"]
        parts.setdefault(key, Part(orders[item["order_id"]])).items.append(item)
    for review in rows_of("reviews"):
        if (part := parts.get((review["shop_id"], review["order_id"]))) is not None:
            part.ratings.append(review["rating"])
    by_shop: Parts = defaultdict(list)
    for (shop, _), part in parts.items():
        by_shop[shop].append(part)
    return by_shop


def main_currency(parts: list[Part]) -> str | None:
    """That of most delivered orders, then of most orders, then the first by name."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for part in parts:
        counts[part.order["currency"]][0] += part.delivered
        counts[part.order["currency"]][1] += 1
    return min(counts, key=lambda name: (-counts[name][0], -counts[name][1], name), default=None)


def _figures(parts: list[Part], currency: str | None) -> dict[str, Any]:
    """What all the marts of a shop have in common, over the delivered ones of some parts."""
    delivered = [part for part in parts if part.delivered]
    values = [v for part in delivered if part.order["currency"] == currency and (v := part.value) is not None]
    times = [t for part in delivered if (t := part.fulfillment) is not None]
    ratings = [rating for part in delivered for rating in part.ratings]
    stars = [Fraction(rating) for rating in ratings if 1 <= rating <= 5]
    return {
        "delivered": len(delivered),
        "currency": currency,
        "revenue": sum(values, Decimal(0)),
        "avg_order_value": rounded_or_none(mean([Fraction(value) for value in values]), 2),
        "avg_fulfillment_time": rounded_or_none(mean(times), 2),
        "avg_rating": rounded(mean(stars) or Fraction(0), 2),
        "values_left_out": len(delivered) - len(values),
        "times_left_out": len(delivered) - len(times),
        "ratings_left_out": len(ratings) - len(stars),
    }


def shop_analytics(rows_of: RowsOf) -> Figures:
    """All shops, over delivered orders: orders, mean part of the value, mean seconds to delivery, mean rating."""
    by_shop = parts_by_shop(rows_of)
    figures: Figures = {}
    for shop in rows_of("shops"):
        parts = by_shop.get(shop["id"], [])
        of_shop = _figures(parts, main_currency(parts))
        del of_shop["revenue"]
        figures[shop["id"]] = {
            "shop_id": shop["id"],
            "name": shop["name"],
            "total_orders": of_shop.pop("delivered"),
            **of_shop,
        }
    return figures


def shop_analytics_daily(rows_of: RowsOf) -> Figures:
    """Shops by the UTC day of the order, from 365 days ago."""
    first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=365)
    figures: Figures = {}
    for shop, parts in parts_by_shop(rows_of).items():
        currency = main_currency(parts)
        by_day: dict[dt.date, list[Part]] = defaultdict(list)
        for part in parts:
            by_day[part.order["created_at"].astimezone(dt.UTC).date()].append(part)
        for day, placed in by_day.items():
            if day >= first:
                of_day = _figures(placed, currency)
                late = sum(part.delivered and (part.lateness or 0) > 0 for part in placed)
                figures[shop, day] = {
                    "shop_id": shop,
                    "day": day,
                    "orders": len(placed),
                    "delivered_orders": of_day.pop("delivered"),
                    "late_orders": late,
                    **of_day,
                }
    return figures


def shop_late_deliveries(rows_of: RowsOf) -> Figures:
    """Delivered orders by shop and UTC month: how many late, and by how much."""
    by_month: dict[tuple[Any, dt.date], list[Part]] = defaultdict(list)
    for shop, parts in parts_by_shop(rows_of).items():
        for part in parts:
            if part.delivered:
                by_month[shop, part.order["created_at"].astimezone(dt.UTC).date().replace(day=1)].append(part)
    figures: Figures = {}
    for (shop, month), parts in by_month.items():
        judged = [lateness for part in parts if (lateness := part.lateness) is not None]
        late = [lateness for lateness in judged if lateness > 0]
        days = mean(late)
        figures[shop, month] = {
            "shop_id": shop,
            "month": month,
            "delivered_orders": len(parts),
            "late_orders": len(late),
            "late_share": rounded(Fraction(len(late), len(judged)), 4) if judged else None,
            "avg_days_late": None if days is None else rounded(days / 86400, 2),
            "orders_left_out": len(parts) - len(judged),
        }
    return figures


def shop_product_analytics(rows_of: RowsOf) -> Figures:
    """What each shop sold of each product, over delivered orders."""
    products = {product["id"]: product for product in rows_of("products")}
    figures: Figures = {}
    for shop, parts in parts_by_shop(rows_of).items():
        currency = main_currency(parts)
        sold: dict[Any, list[tuple[Part, list[Row]]]] = defaultdict(list)
        for part in parts:
            of_product: dict[Any, list[Row]] = defaultdict(list)
            for item in part.items:
                of_product[item["product_id"]].append(item)
            for product, items in of_product.items():
                if part.delivered:
                    sold[product].append((part, items))
        for product, orders in sold.items():
            counted = [
                items
                for part, items in orders
                if part.order["currency"] == currency
                and not any(min(item["quantity"], item["unit_price"]) < 0 for item in items)
            ]
            units = sum(item["quantity"] for items in counted for item in items)
            revenue = sum((i["quantity"] * i["unit_price"] for items in counted for i in items), Decimal(0))
            listed: Mapping[str, Any] = products.get(product, {})
            figures[shop, product] = {
                "shop_id": shop,
                "product_id": product,
                "name": listed.get("name"),
                "category": listed.get("category"),
                "orders": len(orders),
                "units": units,
                "currency": currency,
                "revenue": revenue,
                "avg_price": rounded(Fraction(revenue) / units, 2) if units else None,
                "orders_left_out": len(orders) - len(counted),
            }
    return figures


_OPEN = {"created", "approved", "invoiced", "processing", "shipped"}
_STEPS = {
    "approval": ("created_at", "approved_at", False),
    "handover": ("approved_at", "shipped_at", False),
    "transit": ("shipped_at", "delivered_at", True),
    "fulfillment": ("created_at", "delivered_at", True),
}


def shop_order_funnel(rows_of: RowsOf) -> Figures:
    """Orders by the UTC day and month of their placing: how far they came, and how long each step took."""
    placed: dict[tuple[str, dt.date], list[Row]] = defaultdict(list)
    for order in rows_of("orders"):
        day = order["created_at"].astimezone(dt.UTC).date()
        placed["day", day].append(order)
        placed["month", day.replace(day=1)].append(order)
    figures: Figures = {}
    for (period, starts_on), orders in placed.items():
        states = [order["status"] for order in orders]
        row = {
            "month": starts_on.replace(day=1),
            "period": period,
            "starts_on": starts_on,
            "created_orders": len(orders),
            "approved_orders": sum(order["approved_at"] is not None for order in orders),
            "shipped_orders": sum(order["shipped_at"] is not None for order in orders),
            "delivered_orders": states.count("delivered"),
            "canceled_orders": states.count("canceled"),
            "unavailable_orders": states.count("unavailable"),
            "open_orders": sum(state in _OPEN for state in states),
        }
        row["unknown_orders"] = len(orders) - sum(
            row[f"{name}_orders"] for name in ("delivered", "canceled", "unavailable", "open")
        )
        for step, (since, until, only_delivered) in _STEPS.items():
            lengths = [
                seconds(order[until] - order[since])
                for order in orders
                if order[since] is not None
                and order[until] is not None
                and (order["status"] == "delivered" or not only_delivered)
            ]
            forward = [length for length in lengths if length >= 0]
            row[f"avg_{step}_time"] = rounded_or_none(mean(forward), 2)
            row[f"median_{step}_time"] = rounded(Fraction(statistics.median(forward)), 2) if forward else None
            row[f"{step}_left_out"] = len(lengths) - len(forward)
        figures[period, starts_on] = row
    return figures


_ORDERS = {
    "orders": (
        "id", "status", "currency", "created_at", "approved_at", "shipped_at", "delivered_at", "estimated_delivery_at",
    ),
}  # fmt: skip
_PARTS = {
    **_ORDERS,
    "order_items": ("order_id", "shop_id", "product_id", "quantity", "unit_price", "freight"),
    "reviews": ("order_id", "shop_id", "rating"),
}

SHOP_MARTS: Mapping[str, IndependentMart] = {
    "shop_analytics": IndependentMart("shop", "shop_id", {**_PARTS, "shops": ("id", "name")}, shop_analytics),
    "shop_analytics_daily": IndependentMart(
        "shop", ("shop_id", "day"), {**_PARTS, "shops": ("id",)}, shop_analytics_daily
    ),
    "shop_late_deliveries": IndependentMart("shop", ("shop_id", "month"), _PARTS, shop_late_deliveries),
    "shop_product_analytics": IndependentMart(
        "shop",
        ("shop_id", "product_id"),
        {**_PARTS, "products": ("id", "name", "category")},
        shop_product_analytics,
    ),
    "shop_order_funnel": IndependentMart("shop", ("period", "starts_on"), _ORDERS, shop_order_funnel),
}
