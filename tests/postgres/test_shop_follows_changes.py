"""The shop's models after its use: refreshed by what changed, they hold what they would if made anew.

What belongs here: the project's own models of the shop, on a shop that may break its rules. What does not: how models
follow changes (``test_models_follow_changes``), and single definitions (dbt's unit tests).
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from independent_shop import SHOP_MARTS
from mart_runs import DbtRun, expected_rows, fresh_database, mart_rows, run_dbt

from demo.generate import fill
from demo.servers import Servers
from warehouse.catalog.loader import load_catalog
from warehouse.ingest import ingest_table
from warehouse.ingest.snapshot import open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.quality.recomputation import recompute
from warehouse.state.migrate import migrate

pytestmark = pytest.mark.slow

SHOP = load_catalog().systems["shop"]
TABLES = ("order_items", "orders", "products", "reviews", "shops")
SELECTED = [f"+{mart}" for mart in (*SHOP_MARTS, "dim_shop", "dim_product")]
INCREMENTAL = (
    "fct_shop_order_parts", "int_shop_days", "int_shop_months", "int_shop_order_products", "int_shop_product_months",
    "int_shop_reviews", "shop_order_funnel",
)  # fmt: skip

# The application's own checks, without which it could do what other applications do.
WITHOUT_RULES = """
    ALTER TABLE orders DROP CONSTRAINT orders_check;
    ALTER TABLE order_items DROP CONSTRAINT order_items_unit_price_check;
    ALTER TABLE reviews DROP CONSTRAINT reviews_rating_check;
"""


@dataclass
class Shop:
    """A shop's database, a warehouse, and its models."""

    source: str
    warehouse: str
    artifacts: Path

    def change(self, query: str) -> None:
        with psycopg.connect(self.source, autocommit=True) as connection:
            connection.execute(query.encode())

    def one(self, query: str) -> tuple[Any, ...]:
        """The first row of a question to the warehouse."""
        with psycopg.connect(self.warehouse) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None, query
        return row

    def ingest(self) -> None:
        with open_snapshot(Dsn(self.source)) as snapshot:
            for table in TABLES:
                ingest_table(snapshot, Dsn(self.warehouse), SHOP, table)

    def dbt(self, *arguments: str) -> DbtRun:
        done = run_dbt(self.warehouse, self.artifacts, *arguments)
        assert done.code == 0, done.output
        return done

    def refresh(self) -> None:
        self.ingest()
        self.dbt("build", "--resource-type", "model", "--resource-type", "snapshot", "--select", *SELECTED)

    def assert_right(self) -> None:
        """Every mart is what plain Python says, and every model refreshed by what changed is what it is made anew."""
        with psycopg.connect(self.source) as source, psycopg.connect(self.warehouse) as target:
            for name, independent in SHOP_MARTS.items():
                expected, found = expected_rows(source, independent), mart_rows(target, name, independent.key)
                assert found.keys() == expected.keys(), name
                assert {key: (row, expected[key]) for key, row in found.items() if row != expected[key]} == {}, name
        self.dbt("compile", "--select", *INCREMENTAL, "--vars", json.dumps({"whole": True}))
        manifest = json.loads((self.artifacts / "target" / "manifest.json").read_text())
        with connect(Dsn(self.warehouse)) as connection:
            for name in INCREMENTAL:
                node = manifest["nodes"][f"model.drivetrain.{name}"]
                found = recompute(
                    connection,
                    f"{node['schema']}.{name}",
                    node["compiled_code"],
                    list(node["columns"]),
                    next(c["columns"] for c in node["constraints"] if c["type"] == "primary_key"),
                    node["config"].get("period"),
                )
                assert found.agrees, (name, found)
                assert found.rows > 5, name


@pytest.fixture(scope="module")
def shop(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with fresh_database(servers, "operational") as source, fresh_database(servers, "warehouse") as warehouse:
        with connect(Dsn(warehouse)) as connection:
            migrate(connection)
        # The year of days must be among what is used.
        fill(source, "shop", seed=5, scale=0.02, today=dt.datetime.now(dt.UTC).date())
        used = Shop(source, warehouse, tmp_path_factory.mktemp("dbt"))
        used.change(WITHOUT_RULES)
        used.refresh()
        yield used


def test_made_whole_they_are_right(shop: Shop) -> None:
    shop.assert_right()


def use(shop: Shop, numbers: random.Random) -> None:
    """Progress, flips, late rows, corrections, moves, deletes, and what no shop should do."""

    def some(table: str, condition: str, limit: int, key: str = "id") -> str:
        salt = numbers.randint(0, 10**9)
        return f"(SELECT {key} FROM {table} WHERE {condition} ORDER BY md5({key}::text || {salt}) LIMIT {limit})"

    delivered, others = "status = 'delivered'", "status <> 'delivered'"
    other_shop = some("shops", "true", 1)
    times = "'2026-05-31 23:59:59.999999+00', '2026-06-02+00', '2026-06-01+00'"
    new = f"md5('{numbers.random()}')::uuid"
    actions = [
        f"UPDATE orders SET status = 'canceled' WHERE id IN {some('orders', delivered, 5)}",
        "UPDATE orders SET status = 'delivered', delivered_at = created_at + interval '3 days 4 seconds'"
        f" WHERE id IN {some('orders', others, 5)}",
        f"UPDATE orders SET delivered_at = created_at - interval '1 day' WHERE id IN {some('orders', 'true', 3)}",
        f"UPDATE orders SET delivered_at = NULL WHERE id IN {some('orders', delivered, 3)}",
        f"UPDATE orders SET estimated_delivery_at = delivered_at WHERE id IN {some('orders', 'true', 9)}",
        f"UPDATE orders SET approved_at = created_at - interval '1 hour' WHERE id IN {some('orders', 'true', 9)}",
        "UPDATE orders SET currency = 'EUR' WHERE id IN"
        f" (SELECT order_id FROM order_items WHERE shop_id = {other_shop})",
        f"UPDATE order_items SET shop_id = {other_shop} WHERE order_id IN {some('orders', 'true', 9)} AND item_no = 1",
        f"UPDATE order_items SET unit_price = unit_price + 0.01 WHERE order_id IN {some('orders', 'true', 9)}",
        f"UPDATE order_items SET unit_price = -1 WHERE order_id IN {some('orders', 'true', 2)}",
        f"DELETE FROM order_items WHERE order_id IN {some('orders', 'true', 3)}",
        f"DELETE FROM orders WHERE id IN {some('orders', 'true', 3)}",  # its items stay
        f"DELETE FROM reviews WHERE id IN {some('reviews', 'true', 5)}",
        f"UPDATE reviews SET rating = {numbers.choice([1, 5, 9])} WHERE id IN {some('reviews', 'true', 5)}",
        f"UPDATE reviews SET shop_id = {other_shop} WHERE id IN {some('reviews', 'true', 2)}",
        # A sale that is handed over weeks later, and one that was entered under the wrong month.
        "INSERT INTO orders (id, customer_id, status, total_amount, currency, created_at, delivered_at,"
        f" estimated_delivery_at) SELECT {new}, customer_id, 'delivered', 12.34, currency, {times}"
        " FROM orders ORDER BY id LIMIT 1;"
        " INSERT INTO order_items (order_id, item_no, order_created_at, shop_id, product_id, unit_price)"
        f" SELECT {new}, n, '2026-05-31 23:59:59.999999+00', {other_shop}, id, 6.17"
        " FROM (SELECT id FROM products ORDER BY id LIMIT 1) AS p, generate_series(1, 2) AS n",
        "WITH moved AS (UPDATE orders SET created_at = created_at - interval '32 days'"
        f" WHERE id IN {some('orders', 'true', 4)} RETURNING id, created_at)"
        " UPDATE order_items SET order_created_at = moved.created_at FROM moved WHERE order_id = moved.id",
    ]  # fmt: skip
    for action in numbers.sample(actions, 14):
        shop.change(action)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_after_any_changes_they_are_right(shop: Shop, seed: int) -> None:
    use(shop, random.Random(seed))
    shop.refresh()
    shop.assert_right()


def test_ratings_go_with_their_order_and_come_back(shop: Shop) -> None:
    order, of_shop = shop.one(
        "SELECT order_id, shop_id FROM marts.fct_shop_order_parts WHERE is_delivered AND ratings > 0 LIMIT 1"
    )
    counted = (
        f"SELECT sum(ratings), sum(delivered_orders) FROM intermediate.int_shop_months WHERE shop_id = '{of_shop}'"
    )
    ratings, orders = shop.one(counted)
    (own,) = shop.one(
        f"SELECT ratings FROM marts.fct_shop_order_parts WHERE (order_id, shop_id) = ('{order}', '{of_shop}')"
    )
    shop.change(f"UPDATE orders SET status = 'unavailable' WHERE id = '{order}'")
    shop.refresh()
    assert shop.one(counted) == (ratings - own, orders - 1)
    shop.change(f"UPDATE orders SET status = 'delivered' WHERE id = '{order}'")
    shop.refresh()
    assert shop.one(counted) == (ratings, orders)


def test_only_what_changed_is_written(shop: Shop) -> None:
    (before,) = shop.one("SELECT pg_current_xact_id()::text::bigint")
    (order,) = shop.one("SELECT order_id FROM marts.fct_shop_order_parts WHERE is_delivered LIMIT 1")
    shop.change(f"UPDATE orders SET delivered_at = delivered_at + interval '1 second' WHERE id = '{order}'")
    shop.refresh()
    written = (
        f"SELECT count(*), count(DISTINCT order_id) FROM marts.fct_shop_order_parts WHERE xmin::text::bigint > {before}"
    )
    parts, orders = shop.one(written)
    assert orders == 1
    assert parts == shop.one(f"SELECT count(*) FROM marts.fct_shop_order_parts WHERE order_id = '{order}'")[0]
    months = "SELECT count(DISTINCT month) FROM {} WHERE xmin::text::bigint > {}"
    assert shop.one(months.format("intermediate.int_shop_months", before)) == (1,)
    assert shop.one(months.format("marts.shop_order_funnel", before)) == (1,)


def test_dimensions_keep_what_was(shop: Shop) -> None:
    def versions(table: str, key: str, value: object, column: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(shop.warehouse) as connection:
            return connection.execute(
                f"SELECT {column}, is_current, valid_to IS NULL FROM marts.{table} WHERE {key} = %s"  # pyright: ignore
                " ORDER BY version_number",
                [value],
            ).fetchall()

    everything = "SELECT (SELECT count(*) FROM marts.dim_shop), (SELECT count(*) FROM marts.dim_product)"
    counted = shop.one(everything)
    shop.refresh()
    assert shop.one(everything) == counted, "an hour without changes made versions"

    (product, price) = shop.one("SELECT id, list_price FROM staging.stg_shop__products WHERE list_price > 0 LIMIT 1")
    (unsold,) = shop.one(
        "SELECT id FROM staging.stg_shop__products"
        " WHERE id NOT IN (SELECT product_id FROM staging.stg_shop__order_items)"
        " AND id NOT IN (SELECT product_id FROM staging.stg_shop__reviews) LIMIT 1"
    )
    (place,) = shop.one("SELECT id FROM staging.stg_shop__shops WHERE status = 'open' LIMIT 1")
    # A column that is not looked at makes no version.
    shop.change(f"UPDATE products SET weight_g = 1, updated_at = now() WHERE id = '{product}'")
    shop.change(f"UPDATE products SET list_price = list_price * 2 WHERE id = '{product}'")
    shop.change(f"DELETE FROM products WHERE id = '{unsold}'")
    shop.change(f"UPDATE shops SET status = 'paused' WHERE id = '{place}'")
    shop.refresh()
    shop.change(f"UPDATE products SET list_price = list_price / 2 WHERE id = '{product}'")
    shop.refresh()
    assert versions("dim_product", "product_id", product, "list_price") == [
        (price, False, False),
        (price * 2, False, False),
        (price, True, True),
    ]
    assert versions("dim_product", "product_id", unsold, "name IS NOT NULL") == [(True, False, False)]
    assert versions("dim_shop", "shop_id", place, "status") == [("open", False, False), ("paused", True, True)]
    gaps = (
        "SELECT count(*) FROM marts.dim_product AS a JOIN marts.dim_product AS b USING (product_id)"
        " WHERE b.version_number = a.version_number + 1 AND b.valid_from <> a.valid_to"
    )
    assert shop.one(gaps) == (0,)
    first = (
        "SELECT bool_and(valid_from = created_at) FROM marts.dim_shop JOIN staging.stg_shop__shops ON id = shop_id"
        " WHERE version_number = 1"
    )
    assert shop.one(first) == (True,)


def test_a_mart_over_a_snapshot_says_as_of_when_it_is(shop: Shop) -> None:
    as_of, tiers = shop.one("SELECT as_of, tiers FROM platform.published WHERE model = 'marts.dim_shop'")
    assert (
        as_of
        == shop.one(
            "SELECT max(agreed_as_of) FROM platform.raw_content WHERE system = 'shop' AND table_name = 'shops'"
        )[0]
    )
    assert tiers == ["warehouse"]
