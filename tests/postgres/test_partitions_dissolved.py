"""Default and open-ended partitions that become calendar periods on real servers."""

from __future__ import annotations

import datetime as dt

import pytest
from partitioned import Place

from warehouse.catalog.partition import RangePartition
from warehouse.errors import DrivetrainError
from warehouse.partitions.apply import Patience
from warehouse.partitions.reading import read_extent, read_partitioned
from warehouse.partitions.reshape import dissolution, to_dissolve
from warehouse.partitions.split import split
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import connect

QUICK = Patience(lock_timeout=100, attempts=50, pause=0.01)
MONTHLY = Target("app", "facts", "source", RangePartition(range="at", name="{table}_y{year}m{month}", premake=1))
AT = dt.datetime(2024, 3, 10, tzinfo=dt.UTC)


def dissolve(place: Place) -> list[str]:
    with connect(place.dsn, see_all_rows=True) as connection:
        facts = read_partitioned(connection, [("public", "facts")])["public", "facts"]
        for part in to_dissolve(facts):
            extent = read_extent(connection, part.schema, part.name, facts.columns[0])
            split(connection, dissolution(MONTHLY, facts, part, AT, extent), QUICK)
    return place.partitions()


@pytest.fixture
def ranged(place: Place) -> Place:
    place("CREATE TABLE facts (id int, at timestamptz, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    place("CREATE TABLE facts_y2024m01 PARTITION OF facts FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00')")
    place.own("facts", "facts_y2024m01")
    return place


def test_a_default_partition_becomes_the_months_of_its_rows_and_those_ahead(ranged: Place) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts DEFAULT")
    ranged.own("rest")
    ranged("INSERT INTO facts VALUES (1, '2023-11-30 23:30+00'), (2, '2024-01-15+00'), (3, '2024-02-01+00')")
    before = ranged.rows("SELECT * FROM facts ORDER BY id")
    assert dissolve(ranged) == [
        *("facts_y2023m11", "facts_y2023m12", "facts_y2024m01", "facts_y2024m02", "facts_y2024m03", "facts_y2024m04"),
    ]
    assert ranged.rows("SELECT * FROM facts ORDER BY id") == before
    assert ranged.rows("SELECT tableoid::regclass::text FROM facts WHERE id = 1") == [("facts_y2023m11",)]
    assert ranged.leftovers() == []


def test_an_endless_partition_becomes_months_from_where_it_began(ranged: Place) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts FOR VALUES FROM ('2024-02-10+00') TO (MAXVALUE)")
    ranged.own("rest")
    ranged("INSERT INTO facts VALUES (1, '2024-02-11+00'), (2, '2024-06-15+00')")
    assert dissolve(ranged) == [
        *("facts_y2024m01", "facts_y2024m02_from_20240210t000000", "facts_y2024m03"),
        *("facts_y2024m04", "facts_y2024m05", "facts_y2024m06"),
    ]
    assert ranged.rows("SELECT count(*) FROM facts") == [(2,)]


def test_a_partition_without_a_beginning_becomes_the_months_of_its_rows(ranged: Place) -> None:
    ranged("CREATE TABLE old PARTITION OF facts FOR VALUES FROM (MINVALUE) TO ('2023-12-15+00')")
    ranged.own("old")
    assert [action.remedy for action in ranged.plan() if action.partition == "old"] == ["Drop it, it is empty."]
    ranged("INSERT INTO facts VALUES (1, '2023-10-31 23:59+00'), (2, '2023-12-14+00')")
    assert "convert app.facts" in next(action.remedy for action in ranged.plan() if action.partition == "old")
    assert dissolve(ranged) == [
        *("facts_y2023m10", "facts_y2023m11", "facts_y2023m12_from_20231201t000000", "facts_y2024m01"),
    ]
    assert ranged.rows("SELECT count(*) FROM facts") == [(2,)]


def test_a_partition_of_another_schema_is_left(ranged: Place) -> None:
    ranged("CREATE SCHEMA elsewhere")
    ranged("CREATE TABLE elsewhere.rest PARTITION OF facts DEFAULT")
    ranged("GRANT ALL ON SCHEMA elsewhere TO {}", ranged.owner)
    ranged("ALTER TABLE elsewhere.rest OWNER TO {}", ranged.owner)
    with pytest.raises(DrivetrainError, match="rest lies in the schema elsewhere, its parent in public"):
        dissolve(ranged)


@pytest.mark.parametrize("time", ["infinity", "-infinity", "9999-12-31 23:59:59+00", "0044-03-15 12:00+00 BC"])
def test_rows_without_a_time_keep_a_default_partition(ranged: Place, time: str) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts DEFAULT")
    ranged.own("rest")
    ranged(f"INSERT INTO facts VALUES (1, '{time}'), (2, '2024-02-01+00')")
    with pytest.raises(DrivetrainError, match=r"1 row\(s\) of rest have no time, an infinite or a far one"):
        dissolve(ranged)


def test_an_outlier_makes_no_hundreds_of_partitions(ranged: Place) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts DEFAULT")
    ranged.own("rest")
    ranged("INSERT INTO facts VALUES (1, '2070-01-01+00')")
    with pytest.raises(DrivetrainError, match="2070-01-01 00:00:00") as raised:
        dissolve(ranged)
    assert "is some row's time wrong?" in raised.value.hint


def test_a_name_that_an_index_has_is_no_obstacle(ranged: Place) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts DEFAULT")
    ranged.own("rest")
    ranged("INSERT INTO facts VALUES (1, '2024-02-11+00')")
    ranged("CREATE TABLE other (id int CONSTRAINT facts_y2024m02_pkey PRIMARY KEY)")
    assert "facts_y2024m02" in dissolve(ranged)
    assert ranged.rows("SELECT count(*) FROM pg_index WHERE indrelid = 'facts_y2024m02'::regclass") == [(1,)]
    ((state,),) = ranged.rows("SELECT count(*) FROM pg_class WHERE relname ~ 'drivetrain.*state'")
    assert state == 0
