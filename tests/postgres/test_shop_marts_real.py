"""The shop's marts on a real marketplace's orders, against a computation straight from its files.

The warehouse is filled the long way: files, application, ingestion, dbt. The other side reads the files alone, but for
what they lack: reviews, and products' names. What does not belong here: how files become rows (the demo's own tests).
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from independence import Row
from independent_shop import SHOP_MARTS
from mart_runs import fresh_database, mart_rows, plain_rows, run_dbt

from demo.generate import fill
from demo.servers import Servers
from warehouse.catalog.loader import load_catalog
from warehouse.ingest import ingest_table
from warehouse.ingest.snapshot import open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate

pytestmark = pytest.mark.real_data

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
TIMES = {
    "created_at": "order_purchase_timestamp",
    "approved_at": "order_approved_at",
    "shipped_at": "order_delivered_carrier_date",
    "delivered_at": "order_delivered_customer_date",
    "estimated_delivery_at": "order_estimated_delivery_date",
}


class Files:
    """The operational rows as the files tell them."""

    def __init__(self, folder: Path, today: dt.date, source: psycopg.Connection[Any]) -> None:
        self.folder, self.source = folder, source
        orders = self.read("olist_orders")
        happened = [row[name] for row in orders for name in list(TIMES.values())[:4] if row[name]]
        self.shift = today - dt.timedelta(days=2) - dt.date.fromisoformat(max(happened)[:10])

    def read(self, name: str) -> list[dict[str, str]]:
        with gzip.open(self.folder / f"{name}.csv.gz", "rt", newline="") as stream:
            return list(csv.DictReader(stream))

    def moment(self, written: str) -> dt.datetime | None:
        """The wall time in Brazil, moved by whole days."""
        if not written:
            return None
        return dt.datetime.fromisoformat(written).replace(tzinfo=SAO_PAULO).astimezone(dt.UTC) + self.shift

    def rows_of(self, table: str) -> Iterable[Row]:
        if table == "orders":
            return [
                {
                    "id": uuid.UUID(row["order_id"]),
                    "status": row["order_status"],
                    "currency": "BRL",
                    **{name: self.moment(row[column]) for name, column in TIMES.items()},
                }
                for row in self.read("olist_orders")
            ]
        if table == "order_items":
            return [
                {
                    "order_id": uuid.UUID(row["order_id"]),
                    "shop_id": uuid.UUID(row["seller_id"]),
                    "product_id": uuid.UUID(row["product_id"]),
                    "quantity": 1,
                    "unit_price": Decimal(row["price"]),
                    "freight": Decimal(row["freight_value"]),
                }
                for row in self.read("olist_order_items")
            ]
        # No file has these: a shop's and a product's name, and reviews.
        return plain_rows(self.source, "public", table)


@dataclass(frozen=True)
class Compared:
    """What every mart must be and is."""

    expected: dict[str, dict[Any, Any]]
    found: dict[str, dict[Any, Any]]
    parts: list[Row]
    files: Files


@pytest.fixture(scope="module")
def compared(servers: Servers, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    system = load_catalog().systems["shop"]
    with fresh_database(servers, "operational") as source, fresh_database(servers, "warehouse") as warehouse:
        today = dt.datetime.now(dt.UTC).date()
        fill(source, "shop", seed=7, scale=0.01, today=today, real=real_data)
        with connect(Dsn(warehouse)) as connection:
            migrate(connection)
        with open_snapshot(Dsn(source)) as snapshot:
            for table in ("order_items", "orders", "products", "reviews", "shops"):
                ingest_table(snapshot, Dsn(warehouse), system, table)
        done = run_dbt(
            warehouse, tmp_path_factory.mktemp("dbt"), "run", "--select", *(f"+{mart}" for mart in SHOP_MARTS)
        )
        assert done.code == 0, done.output
        with psycopg.connect(source) as operational, psycopg.connect(warehouse) as built:
            files = Files(real_data, today, operational)
            yield Compared(
                {name: mart.compute(files.rows_of) for name, mart in SHOP_MARTS.items()},
                {name: mart_rows(built, name, mart.key) for name, mart in SHOP_MARTS.items()},
                list(plain_rows(built, "marts", "fct_shop_order_parts")),
                files,
            )


@pytest.mark.parametrize("mart", sorted(SHOP_MARTS))
def test_a_mart_is_what_the_files_say(compared: Compared, mart: str) -> None:
    """To the cent and to the second, row by row."""
    expected, found = compared.expected[mart], compared.found[mart]
    assert len(expected) >= 300 or mart == "shop_order_funnel"
    assert found.keys() == expected.keys()
    assert {key: (row, expected[key]) for key, row in found.items() if row != expected[key]} == {}


def test_an_order_of_several_shops_is_divided_and_lost_nowhere(compared: Compared) -> None:
    shops: dict[str, set[str]] = defaultdict(set)
    worth: dict[str, Decimal] = defaultdict(Decimal)
    for item in compared.files.read("olist_order_items"):
        shops[item["order_id"]].add(item["seller_id"])
        worth[item["order_id"]] += Decimal(item["price"]) + Decimal(item["freight_value"])
    parts = Counter(part["order_id"].hex for part in compared.parts)
    assert parts == {order: len(of_order) for order, of_order in shops.items()}
    assert sum(count > 1 for count in parts.values()) == 101
    assert sum(part["part_value"] for part in compared.parts) == sum(worth.values())
    assert all(part["adds_up"] and part["order_value"] == worth[part["order_id"].hex] for part in compared.parts)


def test_orders_without_items_are_in_the_funnel_alone(compared: Compared) -> None:
    orders = compared.files.read("olist_orders")
    empty = {order["order_id"] for order in orders} - {
        item["order_id"] for item in compared.files.read("olist_order_items")
    }
    assert len(empty) == 111
    assert not empty & {part["order_id"].hex for part in compared.parts}
    months = [row for (period, _), row in compared.found["shop_order_funnel"].items() if period == "month"]
    assert sum(row["created_orders"] for row in months) == len(orders) == 10000


def test_orders_that_did_not_arrive_count_nowhere(compared: Compared) -> None:
    states = {order["order_id"]: order["order_status"] for order in compared.files.read("olist_orders")}
    undelivered = [part for part in compared.parts if states[part["order_id"].hex] != "delivered"]
    assert len(undelivered) > 100
    assert {part["value_left_out"] for part in undelivered} == {"not delivered"}
    delivered = sum(row["total_orders"] for row in compared.found["shop_analytics"].values())
    assert delivered == len(compared.parts) - len(undelivered)
