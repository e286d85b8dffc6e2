"""Real deliveries and orders in the databases, against a reading of the files that shares no code with the loader.

What does not belong here: faults of files (``tests/unit/test_real_files.py``) and generated rows.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import conninfo, sql

from demo.generate import change, fill
from demo.servers import Servers
from warehouse.errors import DemoError

pytestmark = pytest.mark.real_data

TODAY = dt.date(2026, 3, 31)
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
Row = dict[str, str]


def read(folder: Path, name: str) -> list[Row]:
    with gzip.open(folder / f"{name}.csv.gz", "rt", newline="") as stream:
        return [{k: v.strip() for k, v in row.items()} for row in csv.DictReader(stream)]


def query(dsn: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        return connection.execute(text.encode()).fetchall()


@contextmanager
def filled_database(servers: Servers, system: str, real: Path) -> Generator[str]:
    admin = servers.server("operational").dsn("postgres")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    dsn = conninfo.make_conninfo(admin, dbname=name)
    try:
        fill(dsn, system, seed=7, scale=0.01, today=TODAY, real=real)
        yield dsn
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def logistics(servers: Servers, real_data: Path) -> Iterator[str]:
    with filled_database(servers, "logistics", real_data) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def shop(servers: Servers, real_data: Path) -> Iterator[str]:
    with filled_database(servers, "shop", real_data) as dsn:
        yield dsn


def test_riders_are_exactly_the_files_couriers(logistics: str, real_data: Path) -> None:
    deliveries = read(real_data, "deliveries")
    couriers = {row["Delivery_person_ID"] for row in deliveries}
    riders = query(logistics, "SELECT external_id, city FROM riders ORDER BY id")
    assert [external for external, _ in riders] == sorted(couriers)
    assert len(riders) == 1297
    cities = {"COIMB": "Coimbatore", "BANG": "Bengaluru", "INDO": "Indore", "KNP": "Kanpur", "ALH": "Prayagraj"}
    for code, city in cities.items():
        assert {c for external, c in riders if external.startswith(code + "RES")} == {city}
    assert len({city for _, city in riders}) == 22


def test_orders_are_the_files_deliveries(logistics: str, real_data: Path) -> None:
    """References, couriers, ages as recorded or NULL, coordinates to the digit, kinds and circumstances."""
    expected = {
        row["ID"]: (
            row["Delivery_person_ID"],
            None if row["Delivery_person_Age"] == "NaN" else int(row["Delivery_person_Age"]),
            float(row["Restaurant_latitude"]),
            float(row["Restaurant_longitude"]),
            float(row["Delivery_location_latitude"]),
            float(row["Delivery_location_longitude"]),
            row["Type_of_order"],
            None if row["Road_traffic_density"] == "NaN" else row["Road_traffic_density"],
            None if row["Weatherconditions"] == "conditions NaN" else row["Weatherconditions"].split()[1],
            "delivered",
        )
        for row in read(real_data, "deliveries")
    }
    found = query(
        logistics,
        "SELECT external_ref, external_id, rider_age, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, order_type,"
        " metadata ->> 'traffic', metadata ->> 'weather', orders.status::text"
        " FROM orders JOIN riders ON riders.id = rider_id",
    )
    assert len(found) == len(expected) == 11399
    assert {row[0]: row[1:] for row in found} == expected
    assert sum(row[2] is None for row in found) == 491


def test_order_times_are_indian_ones_of_the_files_days(logistics: str, real_data: Path) -> None:
    deliveries = read(real_data, "deliveries")
    days = {row["ID"]: dt.datetime.strptime(row["Order_Date"], "%d-%m-%Y") for row in deliveries}
    shift = dt.datetime(2026, 3, 30) - max(days.values())
    times = {
        ref: (placed, picked, recorded)
        for ref, placed, picked, recorded in query(
            logistics,
            "SELECT external_ref, created_at AT TIME ZONE 'UTC', picked_at AT TIME ZONE 'UTC',"
            " (metadata -> 'order_time_recorded')::boolean FROM orders",
        )
    }
    after_midnight = unrecorded = 0
    for row in deliveries:
        placed, picked, recorded = (
            t + dt.timedelta(hours=5, minutes=30) if isinstance(t, dt.datetime) else t for t in times[row["ID"]]
        )
        assert placed.date() == (days[row["ID"]] + shift).date()
        assert f"{picked:%H:%M:%S}" == row["Time_Order_picked"]
        assert dt.timedelta(minutes=5) <= picked - placed <= dt.timedelta(minutes=15)
        assert recorded == (row["Time_Orderd"] != "NaN")
        if recorded:
            assert f"{placed:%H:%M:%S}" == row["Time_Orderd"]
        after_midnight += picked.date() > placed.date()
        unrecorded += not recorded
    assert after_midnight >= 202
    assert unrecorded == 444
    late = (
        "SELECT count(*) FROM orders"
        " WHERE delivered_at IS NULL OR delivered_at < picked_at OR delivered_at > '2026-03-31'"
    )
    assert query(logistics, late) == [(0,)]


def test_there_is_one_rating_per_delivery_that_has_one(logistics: str, real_data: Path) -> None:
    expected = {
        row["ID"]: (Decimal(row["Delivery_person_Ratings"]), row["Delivery_person_ID"])
        for row in read(real_data, "deliveries")
        if row["Delivery_person_Ratings"] != "NaN"
    }
    found = query(
        logistics,
        "SELECT external_ref, rating, external_id FROM ratings JOIN orders ON orders.id = order_id"
        " JOIN riders ON riders.id = ratings.rider_id",
    )
    assert len(found) == len(expected) == 11399 - 507
    assert {ref: (rating, external) for ref, rating, external in found} == expected


def test_a_riders_age_is_the_last_that_was_told(logistics: str, real_data: Path) -> None:
    told: dict[str, set[int]] = defaultdict(set)
    for row in read(real_data, "deliveries"):
        if row["Delivery_person_Age"] != "NaN":
            told[row["Delivery_person_ID"]].add(int(row["Delivery_person_Age"]))
    latest = dict(
        query(
            logistics,
            "SELECT DISTINCT ON (external_id) external_id, rider_age FROM riders JOIN orders ON rider_id = riders.id"
            " WHERE rider_age IS NOT NULL ORDER BY external_id, orders.created_at DESC, orders.id DESC",
        )
    )
    for external, age in query(logistics, "SELECT external_id, age FROM riders"):
        assert age == latest.get(external)
        assert (age in told[external]) if external in told else age is None


def test_the_ledger_pays_the_real_orders(logistics: str) -> None:
    paid = (
        "SELECT count(*) FROM wallet_ledger AS l JOIN orders ON orders.id = l.order_id AND orders.rider_id = l.rider_id"
        " WHERE entry_type = 'earning' AND amount = delivery_fee"
    )
    assert query(logistics, paid) == [(11399,)]


def test_the_shops_tables_have_the_files_rows(shop: str, real_data: Path) -> None:
    for table, name, key in (
        ("shops", "olist_sellers", "seller_id"),
        ("customers", "olist_customers", "customer_id"),
        ("products", "olist_products", "product_id"),
        ("orders", "olist_orders", "order_id"),
    ):
        keys = [uuid.UUID(row[key]) for row in read(real_data, name)]
        found = [row[0] for row in query(shop, f"SELECT id FROM {table}")]
        assert sorted(found) == sorted(keys), table
    assert query(shop, "SELECT count(*) FROM shops") == [(3095,)]
    customers = query(shop, "SELECT id, unique_id, zip_prefix, city, state FROM customers")
    assert {tuple(map(str, row)) for row in customers} == {
        (str(uuid.UUID(row["customer_id"])), str(uuid.UUID(row["customer_unique_id"])), *list(row.values())[2:])
        for row in read(real_data, "olist_customers")
    }
    same_person = "SELECT count(*) FROM (SELECT FROM customers GROUP BY unique_id HAVING count(DISTINCT email) > 1)"
    assert query(shop, same_person) == [(0,)]
    products = query(shop, "SELECT id, category, weight_g, photos_qty FROM products")
    expected = {
        uuid.UUID(row["product_id"]): (
            row["product_category_name"] or None,
            int(float(row["product_weight_g"])) if row["product_weight_g"] else None,
            int(float(row["product_photos_qty"])) if row["product_photos_qty"] else None,
        )
        for row in read(real_data, "olist_products")
    }
    assert {row[0]: row[1:] for row in products} == expected


def test_orders_keep_status_and_times_in_utc(shop: str, real_data: Path) -> None:
    rows = read(real_data, "olist_orders")
    names = ("purchase_timestamp", "approved_at", "delivered_carrier_date", "delivered_customer_date")
    last = max(time for row in rows for name in names if (time := moment(row, name)) is not None)
    shift = dt.timedelta(days=(dt.date(2026, 3, 29) - last.date()).days)

    def utc(row: Row, name: str) -> dt.datetime | None:
        local = moment(row, name)
        return None if local is None else local.replace(tzinfo=SAO_PAULO).astimezone(dt.UTC) + shift

    expected = {
        uuid.UUID(row["order_id"]): (uuid.UUID(row["customer_id"]), row["order_status"], *(utc(row, n) for n in names))
        for row in rows
    }
    found = query(
        shop,
        "SELECT id, customer_id, status::text, created_at, approved_at, shipped_at, delivered_at FROM orders",
    )
    assert len(found) == 10000
    different = [row for row in found if row[1:] != expected[row[0]]]
    assert different == []
    assert query(shop, "SELECT max(updated_at) <= '2026-03-31' FROM orders") == [(True,)]


def moment(row: Row, name: str) -> dt.datetime | None:
    written = row[f"order_{name}"]
    return dt.datetime.strptime(written, "%Y-%m-%d %H:%M:%S") if written else None


def test_items_and_totals_are_the_files(shop: str, real_data: Path) -> None:
    items = read(real_data, "olist_order_items")
    expected = Counter(
        (uuid.UUID(r["order_id"]), int(r["order_item_id"]), uuid.UUID(r["product_id"]), uuid.UUID(r["seller_id"]),
         Decimal(r["price"]), Decimal(r["freight_value"]), 1)
        for r in items
    )  # fmt: skip
    columns = "order_id, item_no, product_id, shop_id, unit_price, freight, quantity"
    assert Counter(query(shop, f"SELECT {columns} FROM order_items")) == expected
    assert len(items) == 11252
    totals: dict[uuid.UUID, Decimal] = defaultdict(Decimal)
    shops: dict[uuid.UUID, set[str]] = defaultdict(set)
    for r in items:
        totals[uuid.UUID(r["order_id"])] += Decimal(r["price"]) + Decimal(r["freight_value"])
        shops[uuid.UUID(r["order_id"])].add(r["seller_id"])
    found = dict(query(shop, "SELECT id, total_amount FROM orders"))
    assert {order: total for order, total in found.items() if total} == totals
    assert sum(total == 0 for total in found.values()) == 111
    assert sum(len(s) > 1 for s in shops.values()) == 101
    spanning = "SELECT count(*) FROM (SELECT FROM order_items GROUP BY order_id HAVING count(DISTINCT shop_id) > 1)"
    assert query(shop, spanning) == [(101,)]
    joined = "SELECT count(*) FROM order_items JOIN orders ON id = order_id AND orders.created_at = order_created_at"
    assert query(shop, joined) == [(11252,)]


def test_what_is_generated_fits_the_real_orders(shop: str) -> None:
    paid = (
        "SELECT count(*) FROM orders JOIN (SELECT order_id, sum(amount) AS paid FROM payments GROUP BY 1) AS p"
        " ON order_id = id"
    )
    assert query(shop, f"{paid} WHERE paid = total_amount") == [(10000 - 111,)]
    early = "SELECT count(*), count(*) FILTER (WHERE delivered_at > '2026-03-31' OR reviews.created_at < delivered_at)"
    ((reviews, wrong),) = query(shop, f"{early} FROM reviews JOIN orders ON orders.id = order_id")
    assert reviews > 1000
    assert wrong == 0
    vendors = query(shop, "SELECT count(*), count(DISTINCT vendor_id) FROM shops")
    assert vendors == [(3095, 2476)]


@pytest.mark.parametrize("system", ["logistics", "shop"])
def test_real_rows_live_on(empty_database: str, real_data: Path, system: str) -> None:
    rows = fill(empty_database, system, seed=7, scale=0.01, today=TODAY, real=real_data)
    assert min(rows.values()) > 0
    assert fill(empty_database, system, seed=7, scale=0.01, today=TODAY, real=real_data) == rows
    assert change(empty_database, system, seed=7, round=1)["orders"] > 0
    with pytest.raises(DemoError, match=r"real data [0-9a-f]{16}; wanted: .* generated data"):
        fill(empty_database, system, seed=7, scale=0.01, today=TODAY)


def test_a_fault_in_a_file_stops_the_fill_and_names_the_line(
    empty_database: str, real_data: Path, tmp_path: Path
) -> None:
    for file in real_data.glob("olist_*.gz"):
        shutil.copyfile(file, tmp_path / file.name)
    items = tmp_path / "olist_order_items.csv.gz"
    lines = gzip.decompress(items.read_bytes()).decode().splitlines(keepends=True)
    lines[77] = lines[77].replace(lines[77].split(",")[3], "f" * 32)
    items.write_bytes(gzip.compress("".join(lines).encode()))
    with pytest.raises(DemoError, match=r"olist_order_items\.csv\.gz, line 78, column seller_id: 'f{32}' is not known"):
        fill(empty_database, "shop", seed=7, scale=0.01, today=TODAY, real=tmp_path)
    assert query(empty_database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    items.unlink()
    with pytest.raises(DemoError, match=r"olist_order_items\.csv\.gz cannot be read"):
        fill(empty_database, "shop", seed=7, scale=0.01, today=TODAY, real=tmp_path)
