"""What stands against a conversion, and conversions under odd circumstances, on real servers."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import psycopg
import pytest
from partitioned import Place, limit_files, make_rides
from psycopg import sql

from resources.partitions import conversion_of, growth_of
from warehouse.catalog.partition import HashPartition, Partition, RangePartition
from warehouse.errors import Busy, DrivetrainError
from warehouse.partitions import mirror
from warehouse.partitions.apply import Patience, maintainer
from warehouse.partitions.split import split
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import connect

AT = dt.datetime(2024, 3, 10, tzinfo=dt.UTC)
MONTHLY = RangePartition(range="at", name="{table}_y{year}m{month}", premake=2)
HASHED = HashPartition(hash="rider", modulus=4, name="{table}_p{remainder}")
QUICK = Patience(lock_timeout=100, attempts=50, pause=0.01)


@pytest.fixture
def place(place: Place) -> Place:
    make_rides(place, 3000)
    return place


def convert(place: Place) -> None:
    with connect(place.dsn, see_all_rows=True) as connection:
        for due in conversion_of(connection, Target("app", "rides", "source", MONTHLY), ("public", "rides"), AT):
            split(connection, due, QUICK)


def content(place: Place) -> list[tuple[Any, ...]]:
    return place.rows("SELECT count(*), count(DISTINCT id), sum(metres), sum(hashtext(r::text)) FROM rides r")


REFUSED = {
    "CREATE TABLE likes (ride bigint CONSTRAINT of_ride REFERENCES rides)": "foreign key of_ride of public.likes",
    "CREATE MATERIALIZED VIEW sums AS SELECT sum(metres) FROM rides": "materialized view public.sums uses it",
    "CREATE FUNCTION f() RETURNS SETOF rides LANGUAGE sql AS 'SELECT * FROM rides'": "function public.f\\(\\) uses it",
    "CREATE TABLE copies (r rides)": "column r of table public.copies uses it",
    "CREATE VIEW foreigner AS SELECT 1 FROM rides": "view public.foreigner belongs to another role",
    "ALTER TABLE rides ADD UNIQUE (note)": "unique index rides_note_key lacks at",
    "ALTER TABLE rides ALTER COLUMN at DROP NOT NULL": "column at can be NULL",
    "CREATE STATISTICS s ON rider, at FROM rides": "statistics s belong to another role",
    "CREATE RULE r AS ON DELETE TO rides DO ALSO NOTHING": "has rules",
    "CREATE TABLE heir () INHERITS (rides)": "inherits, or is inherited from",
    "ALTER TABLE rides SET UNLOGGED": "temporary, unlogged or typed",
    "ALTER TABLE rides ADD CHECK (metres > 5) NOT VALID": "rides_metres_check1 is not validated",
    "ALTER TABLE rides ADD CHECK (metres > -5) NO INHERIT": "is NO INHERIT",
    "ALTER TABLE rides DROP CONSTRAINT rides_pkey": "no primary key",
    "ALTER TABLE rides DROP CONSTRAINT rides_pkey, ADD PRIMARY KEY (id) DEFERRABLE": "rides_pkey is deferrable",
    "CREATE PUBLICATION p FOR TABLE rides": "publication p belongs to another role",
    "UPDATE rides SET at = 'infinity' WHERE id = 10": "1 row\\(s\\) have an infinite time",
    "UPDATE rides SET at = '0099-01-01' WHERE id = 10": "periods, more than 1000",
    "CREATE TABLE rides_y2024m02 ()": "something of the name rides_y2024m02 is there",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_what_cannot_be_converted_is_refused_with_the_reason(place: Place, statement: str) -> None:
    place(statement)
    with pytest.raises(DrivetrainError, match=REFUSED[statement]):
        convert(place)
    assert place.leftovers() == []
    assert place.rows("SELECT relkind FROM pg_class WHERE oid = 'rides'::regclass") == [("r",)]


@pytest.mark.parametrize("policy", [MONTHLY, HASHED])
def test_names_of_63_bytes_and_with_quotes(place: Place, policy: Partition) -> None:
    odd = 'we"ird Täble; --' + "x" * 36
    place('CREATE TABLE {} ("I d" bigserial PRIMARY KEY, rider int NOT NULL, at timestamp NOT NULL, "v\'%" text)', odd)
    place("CREATE INDEX {} ON {} (\"v'%\" text_pattern_ops) WHERE \"v'%\" <> '100%'", odd[:-1], odd)
    place("CREATE VIEW {} AS SELECT * FROM {}", odd[:-2], odd)
    place.own(odd, odd[:-2])
    place("INSERT INTO {} (rider, at, \"v'%\") SELECT i, '2024-02-01'::timestamp + i * interval '1 day', '%s'"
          " FROM generate_series(1, 40) AS i", odd)  # fmt: skip
    named = policy.model_copy(
        update={"name": "{table}_{year}_{month}"} if policy is MONTHLY else {"name": "{table}_{remainder}"}
    )
    with connect(place.dsn, see_all_rows=True) as connection:
        due = conversion_of(connection, Target("app", odd, "source", named), ("public", odd), AT)
        split(connection, due[0], QUICK)
        if policy is HASHED:
            for each in growth_of(connection, Target("app", odd, "source", named), ("public", odd), 8):
                split(connection, each, QUICK)
    assert len(place.partitions(odd)) == (4 if policy is MONTHLY else 8)
    for table in (odd, odd[:-2]):
        (count,) = place.admin.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
        assert count == (40,)
    assert place.leftovers() == []


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_months_are_utc_and_timeouts_of_the_role_do_not_end_it(
    place: Place, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Around the change to daylight saving, in a database that is elsewhere, by a role whose statements end early."""
    place(f"ALTER DATABASE {{}} SET timezone = '{zone}'", place.admin.info.dbname)
    place("ALTER ROLE {} SET statement_timeout = '200ms'", place.maintainer)
    original = mirror.equal

    def equal(connection: Any, *rest: Any) -> bool:
        connection.execute("SELECT pg_sleep(0.3)")
        return original(connection, *rest)

    monkeypatch.setattr(mirror, "equal", equal)
    place("INSERT INTO rides (rider, at) VALUES (1, '2024-02-29 23:59:59.999999+00'), (1, '2024-03-01 00:00:00+00')")
    before = content(place)
    convert(place)
    assert content(place) == before
    edges = "SELECT tableoid::regclass::text FROM rides WHERE at BETWEEN '2024-02-29 23:59:59+00' AND '2024-03-01+00'"
    assert place.rows(f"{edges} ORDER BY at") == [("rides_y2024m02",), ("rides_y2024m03",)]


def test_two_at_once_are_one(place: Place) -> None:
    with connect(place.dsn) as one, connect(place.dsn) as other, maintainer(one, ("public", "rides")):
        with pytest.raises(Busy, match="another maintenance run"), maintainer(other, ("public", "rides")):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="Linux limits the files of a process that runs already")
def test_a_full_disk_stops_the_copying_and_no_writer(place: Place) -> None:
    """The copy's file cannot grow (EFBIG; a disk that is full says ENOSPC, at the same place)."""
    place("ALTER TABLE rides ALTER COLUMN note SET STORAGE PLAIN")
    place(
        "INSERT INTO rides (rider, at, note) SELECT 1, '2024-02-01+00', repeat('x', 3000) FROM generate_series(1, 9000)"
    )
    before = content(place)
    with connect(place.dsn, see_all_rows=True) as connection:
        (due,) = conversion_of(connection, Target("app", "rides", "source", MONTHLY), ("public", "rides"), AT)
        limit_files(connection.info.backend_pid, 20 << 20)
        with pytest.raises(psycopg.Error, match="File too large"):
            split(connection, due, QUICK)
    assert content(place) == before
    place("UPDATE rides SET rider = 2 WHERE id % 50 = 0")
    before = content(place)
    convert(place)
    assert content(place) == before
    assert place.leftovers() == []
