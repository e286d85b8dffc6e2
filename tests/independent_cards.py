"""What the marts of carddb and the facts of logistics must say, computed in plain Python from operational rows.

What belongs here: their definitions, written a second time and in another way than in dbt (see ``independent_marts``).
What does not: where the rows come from, and how the marts are read.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from independence import Figures, Row, RowsOf, rounded, seconds

INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
#: How long daily and hourly figures are kept.
KEPT = dt.timedelta(days=365)


@dataclass(frozen=True)
class Computed:
    """How a mart is computed again.

    Attributes:
        system: whose tables.
        key: the mart's key columns.
        compute: makes the mart's rows, by their key as a tuple.
    """

    system: str
    key: tuple[str, ...]
    compute: Callable[[RowsOf], Figures]


def by_key(rows: Iterable[Row], key: tuple[str, ...]) -> Figures:
    """Rows by their key."""
    return {tuple(row[name] for name in key): dict(row) for row in rows}


def is_usable(price: Row) -> bool:
    """Whether an observed price counts."""
    return price["currency"] == "USD" and price["price"] > 0 and not price["observed_at"] > price["created_at"]


def latest_prices(rows_of: RowsOf) -> dict[tuple[int, str], Row]:
    """The last usable price by card and condition; of two at a time, the one with the higher number."""
    latest: dict[tuple[int, str], Row] = {}
    for price in sorted(rows_of("price_observations"), key=lambda row: (row["observed_at"], row["id"])):
        if is_usable(price):
            latest[price["card_id"], price["condition"]] = price
    return latest


def collection_value(rows_of: RowsOf) -> Figures:
    """All collections: item by item, what was paid, what it is worth, and the difference where both are known."""
    latest = latest_prices(rows_of)
    items: dict[int, list[Row]] = defaultdict(list)
    for item in rows_of("collection_items"):
        items[item["collection_id"]].append(item)
    figures = []
    for collection in rows_of("collections"):
        held = items[collection["id"]]
        told = [item for item in held if item["price_paid"] is not None]
        paid = {
            item["id"]: item["price_paid"] for item in told if item["currency"] == "USD" and item["price_paid"] >= 0
        }
        found = {item["id"]: latest.get((item["card_id"], item["condition"])) for item in held}
        worth = {item: price["price"] for item, price in found.items() if price is not None}
        moments = [price["observed_at"] for price in found.values() if price is not None]
        both = paid.keys() & worth.keys()
        figures.append(
            {
                "collection_id": collection["id"],
                "user_id": collection["user_id"],
                "total_items": len(held),
                "distinct_cards": len({item["card_id"] for item in held}),
                "cost": sum(paid.values(), Decimal(0)),
                "items_with_cost": len(paid),
                "items_cost_left_out": len(told) - len(paid),
                "current_value": sum(worth.values(), Decimal(0)),
                "items_with_value": len(worth),
                "items_value_left_out": len(held) - len(worth),
                "gain": sum((worth[item] - paid[item] for item in both), Decimal(0)),
                "items_with_gain": len(both),
                "oldest_price_at": min(moments, default=None),
                "latest_price_at": max(moments, default=None),
            }
        )
    return by_key(figures, ("collection_id",))


def card_price_months(rows_of: RowsOf) -> Figures:
    """By card, condition and month (UTC): the mean of the usable prices, and how many were not."""
    prices: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for price in rows_of("price_observations"):
        month = price["observed_at"].astimezone(dt.UTC).date().replace(day=1)
        prices[price["card_id"], price["condition"], month].append(price)
    figures: Figures = {}
    for key, seen in prices.items():
        usable = [Fraction(price["price"]) for price in seen if is_usable(price)]
        foreign = sum(price["currency"] != "USD" for price in seen)
        figures[key] = {
            **dict(zip(("card_id", "condition", "month"), key, strict=True)),
            "observations": len(usable),
            "avg_price": rounded(sum(usable, Fraction(0)) / len(usable), 2) if usable else None,
            "foreign_left_out": foreign,
            "wrong_left_out": len(seen) - len(usable) - foreign,
        }
    return figures


def set_completeness(rows_of: RowsOf) -> Figures:
    """By user and set of which he or she has a card: different cards owned, cards in the set, their quotient."""
    cards = {card["id"]: (card["year"], card["set"]) for card in rows_of("cards")}
    sizes = Counter(cards.values())
    owner = {collection["id"]: collection["user_id"] for collection in rows_of("collections")}
    owned: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    for item in rows_of("collection_items"):
        owned[owner[item["collection_id"]], *cards[item["card_id"]]].add(item["card_id"])
    return {
        (user, year, of_set): {
            "user_id": user,
            "year": year,
            "set": of_set,
            "cards_owned": len(has),
            "cards_in_set": sizes[year, of_set],
            "completeness": rounded(Fraction(len(has), sizes[year, of_set]), 4),
        }
        for (user, year, of_set), has in owned.items()
    }


def most_collected_cards(rows_of: RowsOf) -> Figures:
    """By card that anybody has: different collectors, collections, copies, place. Movement is the caller's to add."""
    owner = {collection["id"]: collection["user_id"] for collection in rows_of("collections")}
    users, collections, copies = defaultdict[int, set[int]](set), defaultdict[int, set[int]](set), Counter[int]()
    for item in rows_of("collection_items"):
        card = item["card_id"]
        users[card].add(owner[item["collection_id"]])
        collections[card].add(item["collection_id"])
        copies[card] += 1
    better = Counter((len(users[card]), copies[card]) for card in copies)
    figures = []
    for card in rows_of("cards"):
        if (key := card["id"]) in copies:
            mine = (len(users[key]), copies[key])
            figures.append(
                {
                    "card_id": key,
                    **{name: card[name] for name in ("year", "set", "number", "name")},
                    "collectors": mine[0],
                    "collections": len(collections[key]),
                    "copies": mine[1],
                    "popularity_rank": 1 + sum(n for other, n in better.items() if other > mine),
                }
            )
    return by_key(figures, ("card_id",))


def fct_deliveries(rows_of: RowsOf) -> Figures:
    """All orders: their lengths of time unless a step is dated before an earlier one, and their rating from 1 to 5."""
    stars: dict[int, list[Decimal]] = defaultdict(list)
    for rating in rows_of("ratings"):
        stars[rating["order_id"]].append(rating["rating"])
    figures = []
    for order in rows_of("orders"):
        placed, picked, handed, stopped = (
            order[name] for name in ("created_at", "picked_at", "delivered_at", "cancelled_at")
        )
        steps = [moment for moment in (placed, picked, handed) if moment is not None]
        wrong = steps != sorted(steps) or (stopped is not None and stopped < placed)
        delivered = order["status"] == "delivered"
        usable = [Fraction(star) for star in stars[order["id"]] if 1 <= star <= 5]

        def length(begin: Any, end: Any, *, wrong: bool = wrong) -> Fraction | None:
            return None if wrong or begin is None or end is None else seconds(end - begin)

        figures.append(
            {
                "order_id": order["id"],
                "rider_id": order["rider_id"],
                "order_type": order["order_type"] or "not told",
                "status": order["status"],
                "day": placed.astimezone(dt.UTC).date(),
                "created_at": placed,
                "picked_at": picked,
                "delivered_at": handed,
                "cancelled_at": stopped,
                "is_delivered": delivered,
                "pickup_s": length(placed, picked),
                "ride_s": length(picked, handed),
                "delivery_s": length(placed, handed) if delivered else None,
                "times_left_out": wrong or (delivered and handed is None),
                "distance_m": order["distance_m"],
                "delivery_fee": order["delivery_fee"],
                "rating": rounded(sum(usable, Fraction(0)) / len(usable), 2) if usable else None,
                "ratings_left_out": len(stars[order["id"]]) - len(usable),
            }
        )
    return by_key(figures, ("order_id",))


def logistics_hourly_demand(rows_of: RowsOf) -> Figures:
    """By hour of India's clock in the last 365 days and kind of order: orders by outcome."""
    oldest = _midnight() - KEPT
    outcomes: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for order in rows_of("orders"):
        hour = order["created_at"].astimezone(INDIA).replace(minute=0, second=0, microsecond=0)
        if hour >= oldest:
            outcomes[hour, order["order_type"] or "not told"][order["status"]] += 1
    return {
        key: {
            "hour": key[0],
            "order_type": key[1],
            "orders": found.total(),
            "delivered_orders": found["delivered"],
            "cancelled_orders": found["cancelled"],
            "source_rows": found.total(),
        }
        for key, found in outcomes.items()
    }


def logistics_daily(rows_of: RowsOf) -> Figures:
    """By day (UTC) of the last 365 and the city where its rider is now: for riders who never moved."""
    city: dict[int | None, str] = {rider["id"]: rider["city"] for rider in rows_of("riders")} | {None: "no rider"}
    oldest = (_midnight() - KEPT).date()
    orders: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for order in fct_deliveries(rows_of).values():
        if order["day"] >= oldest:
            orders[order["day"], city[order["rider_id"]]].append(order)
    earned: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for entry in rows_of("wallet_ledger"):
        day = entry["created_at"].astimezone(dt.UTC).date()
        if entry["entry_type"] == "earning" and day >= oldest:
            earned[day, city[entry["rider_id"]]] += entry["amount"]
    figures: Figures = {}
    for key in orders.keys() | earned.keys():
        of_day = orders[key]
        lengths = [order["delivery_s"] for order in of_day if order["delivery_s"] is not None]
        ratings = [Fraction(order["rating"]) for order in of_day if order["rating"] is not None]
        figures[key] = {
            "day": key[0],
            "city": key[1],
            "active_riders": len({order["rider_id"] for order in of_day} - {None}),
            "orders": len(of_day),
            "delivered_orders": sum(order["is_delivered"] for order in of_day),
            "cancelled_orders": sum(order["status"] == "cancelled" for order in of_day),
            "earnings": earned[key],
            "distance_m": sum(order["distance_m"] or 0 for order in of_day if order["is_delivered"]),
            "timed_orders": len(lengths),
            "avg_delivery_min": rounded(sum(lengths) / len(lengths) / 60, 2) if lengths else None,
            "times_left_out": sum(order["times_left_out"] for order in of_day),
            "rated_orders": len(ratings),
            "avg_rating": rounded(sum(ratings) / len(ratings), 2) if ratings else Decimal(0),
            "ratings_left_out": sum(order["ratings_left_out"] for order in of_day),
        }
    return figures


def _midnight() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)


COMPUTED: Mapping[str, Computed] = {
    "collection_value": Computed("carddb", ("collection_id",), collection_value),
    "card_price_months": Computed("carddb", ("card_id", "condition", "month"), card_price_months),
    "set_completeness": Computed("carddb", ("user_id", "year", "set"), set_completeness),
    "most_collected_cards": Computed("carddb", ("card_id",), most_collected_cards),
    "fct_deliveries": Computed("logistics", ("order_id",), fct_deliveries),
    "logistics_hourly_demand": Computed("logistics", ("hour", "order_type"), logistics_hourly_demand),
    "logistics_daily": Computed("logistics", ("day", "city"), logistics_daily),
}
