"""The marts of carddb and logistics after real use and bad input: against an independent computation from operational
rows, and, refreshed by what changed, against what they are when made anew.

What does not belong here: single definitions (dbt's unit tests), and the engine (``test_models_follow_changes``).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from independent_cards import COMPUTED, by_key
from independent_marts import Figures
from mart_runs import DbtRun, fresh_database, plain_rows, run_dbt

from demo.generate import change, fill
from demo.servers import Servers
from warehouse.catalog.loader import load_catalog
from warehouse.ingest import ingest_table
from warehouse.ingest.snapshot import open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.quality.recomputation import recompute
from warehouse.state.migrate import migrate

SYSTEMS = {
    "carddb": ("users", "cards", "collections", "collection_items", "price_observations"),
    "logistics": ("riders", "orders", "wallet_ledger", "ratings", "duty_logs"),
}
MARTS = sorted(COMPUTED)
OWN = ["marts.carddb", "marts.logistics"]
TODAY = dt.datetime.now(dt.UTC).date()
#: What partners and feeds have sent, and a source's constraint may let pass one day.
BAD = {
    "carddb": """
        ALTER TABLE price_observations DROP CONSTRAINT price_observations_price_check,
            DROP CONSTRAINT price_observations_check;
        ALTER TABLE collection_items DROP CONSTRAINT collection_items_price_paid_check;
        UPDATE price_observations SET currency = 'EUR' WHERE id % 7 = 0;
        UPDATE price_observations SET price = -price WHERE id % 31 = 0;
        UPDATE price_observations SET price = 0 WHERE id % 37 = 0;
        UPDATE price_observations SET created_at = observed_at - interval '1 second' WHERE id % 11 = 0;
        UPDATE collection_items SET price_paid = -price_paid WHERE id % 13 = 0;
        UPDATE collection_items SET price_paid = 0 WHERE id % 17 = 0 AND price_paid IS NOT NULL;
        UPDATE collection_items SET updated_at = now() WHERE id % 13 = 0 OR id % 17 = 0
    """,
    "logistics": """
        ALTER TABLE orders DROP CONSTRAINT orders_check, DROP CONSTRAINT orders_check1;
        UPDATE orders SET picked_at = created_at - interval '1 second', updated_at = now() WHERE id % 10 = 1;
        UPDATE orders SET delivered_at = picked_at - interval '1 hour', updated_at = now()
         WHERE id % 10 = 2 AND status = 'delivered';
        UPDATE orders SET order_type = NULL, updated_at = now() WHERE id % 10 = 3;
        UPDATE ratings SET rating = 6, updated_at = now() WHERE id % 5 = 0
    """,
}
#: Late rows, corrections and deletes beyond a round of the demo's use.
USE = {
    "carddb": """
        UPDATE price_observations SET price = price + 1 WHERE id % 50 = 1;
        UPDATE price_observations SET currency = 'GBP' WHERE id IN (
            SELECT DISTINCT ON (card_id, condition) id FROM price_observations WHERE card_id % 9 = 0
             ORDER BY card_id, condition, observed_at DESC, id DESC);
        DELETE FROM price_observations WHERE id IN (
            SELECT DISTINCT ON (card_id, condition) id FROM price_observations WHERE card_id % 10 = 0
             ORDER BY card_id, condition, observed_at DESC, id DESC);
        DELETE FROM price_observations WHERE card_id = (SELECT min(card_id) FROM price_observations);
        INSERT INTO price_observations (card_id, condition, price, source, observed_at, created_at)
            SELECT card_id, condition, price + 0.5, source, observed_at, created_at FROM price_observations
             WHERE id % 40 = 3;
        UPDATE collections SET user_id = (SELECT min(id) FROM users), name = name || id, updated_at = now()
         WHERE id % 20 = 4;
        UPDATE collection_items SET collection_id = (SELECT max(id) FROM collections), updated_at = now()
         WHERE id % 30 = 5;
        UPDATE collection_items SET condition = 'poor', updated_at = now() WHERE id % 30 = 6
    """,
    "logistics": """
        UPDATE orders SET status = 'cancelled', delivered_at = NULL, cancelled_at = picked_at, updated_at = now()
         WHERE id % 25 = 4 AND status = 'delivered';
        UPDATE orders SET rider_id = NULL, updated_at = now() WHERE id % 50 = 5;
        UPDATE orders SET created_at = created_at - interval '1 day', updated_at = now() WHERE id % 50 = 6;
        UPDATE ratings SET rating = 4.5, updated_at = now() WHERE rating = 6 AND id % 10 = 0;
        UPDATE wallet_ledger SET amount = amount + 0.01 WHERE id % 50 = 7;
        DELETE FROM wallet_ledger WHERE id % 50 = 8
    """,
}


@dataclass(frozen=True)
class Warehouse:
    """Filled applications and a warehouse made of them.

    Attributes:
        operational: connection string of each application.
        dsn: the warehouse.
        artifacts: folder of dbt's.
    """

    operational: dict[str, str]
    dsn: str
    artifacts: Path

    def ingest(self) -> None:
        """Every table that the marts need."""
        catalog = load_catalog()
        for name, tables in SYSTEMS.items():
            with open_snapshot(Dsn(self.operational[name])) as snapshot:
                for table in tables:
                    ingest_table(snapshot, Dsn(self.dsn), catalog.systems[name], table)

    def build(self, *arguments: str) -> DbtRun:
        """Snapshots, models and their data tests."""
        selected = [f"+{folder}" for folder in OWN]
        kinds = ["--exclude-resource-type", "unit_test"]
        return run_dbt(self.dsn, self.artifacts, "build", "--select", *selected, *kinds, *arguments)

    def expected(self, mart: str) -> Figures:
        """What a mart must hold."""
        with psycopg.connect(self.operational[COMPUTED[mart].system]) as source:
            return COMPUTED[mart].compute(lambda table: plain_rows(source, "public", table))

    def found(self, mart: str) -> Figures:
        """What it holds."""
        with psycopg.connect(self.dsn) as target:
            return by_key(plain_rows(target, "marts", mart), COMPUTED[mart].key)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Rows of a statement on the warehouse."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def built(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Two systems with bad input, ingested and built."""
    with ExitStack() as stack:
        operational = {name: stack.enter_context(fresh_database(servers, "operational")) for name in SYSTEMS}
        dsn = stack.enter_context(fresh_database(servers, "warehouse"))
        with connect(Dsn(dsn)) as connection:
            migrate(connection)
        for name, source in operational.items():
            fill(source, name, seed=3, scale=0.05, today=TODAY)
            change(source, name, seed=3, round=1)
            _use(source, BAD[name])
        warehouse = Warehouse(operational, dsn, tmp_path_factory.mktemp("dbt"))
        warehouse.ingest()
        run = warehouse.build()
        assert run.code == 0, run.output
        bad = {name for name, status in run.statuses.items() if status not in ("success", "pass", "warn")}
        assert bad == set()
        yield warehouse


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_equals_the_independent_computation(built: Warehouse, mart: str) -> None:
    _same(built, mart)


def test_what_is_left_out_is_counted_and_warned_of(built: Warehouse) -> None:
    values, days = built.found("collection_value").values(), built.found("logistics_daily").values()
    months, orders = built.found("card_price_months").values(), built.found("fct_deliveries").values()
    assert all(sum(row[name] for row in values) > 50 for name in ("items_cost_left_out", "items_value_left_out"))
    assert all(sum(row[name] for row in months) > 50 for name in ("foreign_left_out", "wrong_left_out"))
    assert all(sum(row[name] for row in days) > 20 for name in ("times_left_out", "ratings_left_out"))
    assert sum(row["times_left_out"] for row in orders) > 50
    run = run_dbt(built.dsn, built.artifacts, "test", "--select", *OWN, "--exclude-resource-type", "unit_test")
    warned = {name for name, status in run.statuses.items() if status == "warn"}
    assert len(warned) == 3, warned


@pytest.mark.slow
def test_after_use_marts_are_right_and_equal_their_recomputation(built: Warehouse) -> None:
    for round_ in (2, 3):
        for name, source in built.operational.items():
            change(source, name, seed=3, round=round_)
            _use(source, USE[name])
        before = {mart: built.found(mart) for mart in MARTS}
        # As if the day before had ended after the last refresh.
        for snapshot in ("snap_carddb__card_collectors", "snap_logistics__riders"):
            built.query(f"UPDATE intermediate.{snapshot} SET dbt_valid_from = dbt_valid_from - interval '2 days'")
            built.query(f"UPDATE intermediate.{snapshot} SET dbt_valid_to = dbt_valid_to - interval '2 days'")
        built.ingest()
        run = built.build()
        assert run.code == 0, run.output
        assert [mart for mart in MARTS if built.found(mart) == before[mart]] == []
        for mart in set(MARTS) - {"most_collected_cards"}:
            _same(built, mart)
        then = {key: row["popularity_rank"] for key, row in before["most_collected_cards"].items()}
        expected = built.expected("most_collected_cards")
        for key, row in expected.items():
            row["rank_movement"] = then[key] - row["popularity_rank"] if key in then else None
        assert built.found("most_collected_cards") == expected
        assert len({row["rank_movement"] for row in expected.values()}) > 3
    _recomputed(built)
    earned = "SELECT sum(earnings) FROM marts.logistics_daily"
    booked = "SELECT sum(amount) FROM raw_logistics.wallet_ledger WHERE entry_type::text = 'earning' AND created_at >= "
    assert built.query(earned) == built.query(f"{booked} (now() AT TIME ZONE 'UTC')::date - 365")


def test_history_is_kept_of_what_changed(built: Warehouse) -> None:
    rider, city = built.query("SELECT rider_id, city FROM marts.dim_rider WHERE is_current ORDER BY 1 LIMIT 1")[0]
    versions = (
        f"SELECT version, city, status, is_current FROM marts.dim_rider WHERE rider_id = {rider} ORDER BY version"
    )
    first = built.query(versions)
    (status,) = {row[2] for row in first}
    assert first == [(1, city, status, True)]
    days = "SELECT day, orders FROM marts.logistics_daily WHERE city = 'Elsewhere' ORDER BY day"
    _use(built.operational["logistics"], f"UPDATE riders SET city = 'Elsewhere', updated_at = now() WHERE id = {rider}")
    _use(
        built.operational["logistics"],
        "INSERT INTO orders (rider_id, status, external_ref, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon,"
        f" delivery_fee) VALUES ({rider}, 'assigned', 'history', 19, 72, 19, 72, 30)",
    )
    versions_of = "SELECT collection_id, count(*) FROM marts.collection_value_history GROUP BY 1"
    before = dict(built.query(versions_of))
    ((revalued,),) = built.query("SELECT min(collection_id) FROM marts.collection_value WHERE items_with_cost > 0")
    _use(
        built.operational["carddb"],
        f"UPDATE collection_items SET price_paid = price_paid + 1, updated_at = now() WHERE collection_id = {revalued}",
    )
    built.ingest()
    assert built.build().code == 0
    assert built.query(versions) == [(1, city, status, False), (2, "Elsewhere", status, True)]
    # Today is where the rider ends it; what was before stays where it was.
    placed = dict(built.query(f"SELECT day, count(*) FROM marts.fct_deliveries WHERE rider_id = {rider} GROUP BY day"))
    today = max(placed)
    assert built.query(days) == [(today, placed[today])]
    assert len(placed) > 1
    assert dict(built.query(versions_of)) == before | {revalued: before[revalued] + 1}
    ((current,),) = built.query("SELECT count(*) FROM marts.collection_value_history WHERE is_current")
    assert built.query("SELECT count(*) FROM marts.collection_value") == [(current,)]


@pytest.mark.slow
def test_prices_and_sums_outlive_the_month_that_left(built: Warehouse) -> None:
    """A month goes to a lower tier, its rows leave; the prices and sums made of them remain, and agree."""
    prices = "SELECT * FROM intermediate.int_card_prices_latest ORDER BY card_id, condition"
    months = "SELECT * FROM marts.card_price_months ORDER BY card_id, condition, month"
    latest, sums = built.query(prices), built.query(months)
    ((month,),) = built.query("SELECT min(month) FROM marts.card_price_months")
    left = f"observed_at < '{month:%Y-%m-%d} 00:00+00'::timestamptz + interval '1 month'"
    assert built.query(f"SELECT count(*) FROM intermediate.int_card_prices_latest WHERE {left}")[0][0] > 0
    built.query(f"DELETE FROM raw_carddb.price_observations WHERE {left}")
    built.query(
        "UPDATE platform.raw_content SET tier = 'cold'"
        f" WHERE system = 'carddb' AND table_name = 'price_observations' AND chunk = '{month:%Y-%m}'"
    )
    run = built.build("--vars", json.dumps({"whole": True}))
    assert run.code == 0, run.output
    assert built.query(prices) == latest
    assert built.query(months) == sums
    _recomputed(built)


def _use(dsn: str, statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statements.encode())


def _same(built: Warehouse, mart: str) -> None:
    expected, found = built.expected(mart), built.found(mart)
    if mart == "most_collected_cards":
        expected = {key: row | {"rank_movement": None} for key, row in expected.items()}
    assert len(expected) > 20, "too few rows to prove anything"
    assert found.keys() == expected.keys()
    assert {key: row for key, row in found.items() if row != expected[key]} == {}


def _recomputed(built: Warehouse) -> None:
    """Every model of the two systems that is refreshed by what changed equals what it is when made anew."""
    whole = ["--vars", json.dumps({"whole": True})]
    done = run_dbt(built.dsn, built.artifacts, "compile", "--select", "config.materialized:incremental", *whole)
    assert done.code == 0, done.output
    nodes = json.loads((built.artifacts / "target" / "manifest.json").read_text())["nodes"].values()
    compared = set[str]()
    for node in nodes:
        if node["config"].get("materialized") == "incremental" and node["fqn"][2] in SYSTEMS:
            (key,) = (c["columns"] for c in node["constraints"] if c["type"] == "primary_key")
            with connect(Dsn(built.dsn)) as connection:
                found = recompute(
                    connection,
                    f"{node['schema']}.{node['name']}",
                    node["compiled_code"],
                    list(node["columns"]),
                    key,
                    node["config"].get("period"),
                )
            assert found.agrees, (node["name"], found)
            assert found.rows > 20, node["name"]
            compared.add(node["name"])
    assert len(compared) >= 10
