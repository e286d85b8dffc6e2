"""Default and open-ended partitions that become calendar periods on real servers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from partitioned import Place

from resources.partitions import conversion_of
from warehouse.catalog.partition import RangePartition
from warehouse.errors import DrivetrainError
from warehouse.partitions import mirror
from warehouse.partitions.apply import Patience
from warehouse.partitions.reshape import MOST_PIECES
from warehouse.partitions.split import split
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import connect

QUICK = Patience(lock_timeout=100, attempts=50, pause=0.01)
MONTHLY = Target("app", "facts", "source", RangePartition(range="at", name="{table}_y{year}m{month}", premake=1))
AT = dt.datetime(2024, 3, 10, tzinfo=dt.UTC)


def dissolve(place: Place, target: Target = MONTHLY) -> list[str]:
    """As far as one look goes."""
    with connect(place.dsn, see_all_rows=True) as connection:
        for due in conversion_of(connection, target, ("public", "facts"), AT):
            split(connection, due, QUICK)
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
    assert "facts_y2024m02" in dissolve(ranged)
    assert ranged.rows("SELECT id FROM rest") == [(1,)]
    assert ranged.rows("SELECT count(*) FROM facts") == [(2,)]
    assert ranged.leftovers() == []
    with pytest.raises(DrivetrainError, match=r"rest has 1 row\(s\) of no time, an infinite or a far one"):
        dissolve(ranged)


@pytest.mark.parametrize("outlier", ["1970-01-01", "2070-01-01"])
def test_an_outlier_makes_no_hundreds_of_partitions(ranged: Place, outlier: str) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts DEFAULT")
    ranged.own("rest")
    ranged(f"INSERT INTO facts VALUES (1, '{outlier}+00'), (2, '2023-11-15+00')")
    assert len(dissolve(ranged)) == 7  # November to April, and the rest
    assert ranged.rows("SELECT id FROM rest") == [(1,)]
    with pytest.raises(DrivetrainError, match=f"rest has rows of {outlier}.* more than 120 periods") as raised:
        dissolve(ranged)
    assert "Is their time wrong?" in raised.value.hint


def test_an_outlier_keeps_an_endless_partition(ranged: Place) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts FOR VALUES FROM ('2024-02-01+00') TO (MAXVALUE)")
    ranged.own("rest")
    ranged("INSERT INTO facts VALUES (1, '2070-01-01+00'), (2, '2024-02-15+00')")
    assert dissolve(ranged)[-2:] == ["facts_y2024m04", "rest"]
    assert ranged.bound("rest") == "FOR VALUES FROM ('2024-05-01 00:00:00+00') TO (MAXVALUE)"
    assert ranged.rows("SELECT id FROM rest") == [(1,)]


def test_an_endless_partition_that_begins_long_before_its_rows_is_refused(ranged: Place) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts FOR VALUES FROM ('2024-02-01+00') TO (MAXVALUE)")
    ranged("ALTER TABLE facts DETACH PARTITION facts_y2024m01")
    ranged("ALTER TABLE facts DETACH PARTITION rest")
    ranged("ALTER TABLE facts ATTACH PARTITION rest FOR VALUES FROM ('1970-01-01+00') TO (MAXVALUE)")
    ranged.own("rest")
    with pytest.raises(DrivetrainError, match="rest begins on 1970-01-01, more than 120 periods"):
        dissolve(ranged)


def test_an_endless_partition_of_far_times_waits_for_them(ranged: Place) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts FOR VALUES FROM ('2030-01-01+00') TO (MAXVALUE)")
    ranged.own("rest")
    with pytest.raises(DrivetrainError, match="begins only on 2030-01-01"):
        dissolve(ranged)


@pytest.mark.parametrize("bound", ["DEFAULT", "FOR VALUES FROM ('2024-02-01+00') TO (MAXVALUE)"])
def test_more_days_than_one_lock_bears_are_split_one_after_the_other(ranged: Place, bound: str) -> None:
    ranged(f"CREATE TABLE rest PARTITION OF facts {bound}")
    ranged.own("rest")
    ranged(
        "INSERT INTO facts SELECT i, '2024-02-01+00'::timestamptz + i * interval '1 day' FROM generate_series(0, 199) i"
    )
    daily = Target("app", "facts", "source", RangePartition(range="at", name="{table}_{year}{month}{day}", every="day"))
    assert len(dissolve(ranged, daily)) == 1 + MOST_PIECES + 1
    assert len(dissolve(ranged, daily)) == 1 + 200
    assert ranged.rows("SELECT count(*), count(DISTINCT id) FROM facts") == [(200, 200)]
    assert ranged.leftovers() == []


@pytest.mark.parametrize("bound", ["DEFAULT", "FOR VALUES FROM ('2024-02-01+00') TO (MAXVALUE)"])
def test_rows_of_times_that_nobody_expected_come_meanwhile(
    ranged: Place, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranged(f"CREATE TABLE rest PARTITION OF facts {bound}")
    ranged.own("rest")
    ranged("INSERT INTO facts VALUES (1, '2024-02-01+00')")
    before = mirror.equal

    def equal(*arguments: Any) -> bool:
        ranged("INSERT INTO facts VALUES (2, '2024-09-09+00'), (3, 'infinity') ON CONFLICT DO NOTHING")
        return before(*arguments)

    monkeypatch.setattr(mirror, "equal", equal)
    assert dissolve(ranged)[-1] == "rest"
    assert ranged.rows("SELECT id FROM rest ORDER BY id") == [(2,), (3,)]
    monkeypatch.undo()
    assert "facts_y2024m09" in dissolve(ranged)
    assert ranged.rows("SELECT id FROM rest ORDER BY id") == [(3,)]
    assert ranged.leftovers() == []


@pytest.mark.parametrize("bound", ["DEFAULT", "FOR VALUES FROM ('2024-02-01+00') TO (MAXVALUE)"])
def test_attaching_looks_at_no_row(ranged: Place, bound: str) -> None:
    """Of the rest neither, which may be large: or the parent would be locked for as long as a scan takes."""
    ranged(f"CREATE TABLE rest PARTITION OF facts {bound}")
    ranged.own("rest")
    ranged("INSERT INTO facts VALUES (1, '2024-02-01+00'), (2, '2070-01-01+00')")
    said: list[str] = []
    with connect(ranged.dsn, see_all_rows=True) as connection:
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        connection.execute("SET client_min_messages = debug1")
        (due,) = conversion_of(connection, MONTHLY, ("public", "facts"), AT)
        split(connection, due, QUICK)
    assert len([text for text in said if "is implied by existing constraints" in text]) == len(due.pieces), said
    assert due.pieces[-1].rest
    assert "rest" in ranged.partitions()


def test_a_name_that_an_index_has_is_no_obstacle(ranged: Place) -> None:
    ranged("CREATE TABLE rest PARTITION OF facts DEFAULT")
    ranged.own("rest")
    ranged("INSERT INTO facts VALUES (1, '2024-02-11+00')")
    ranged("CREATE TABLE other (id int CONSTRAINT facts_y2024m02_pkey PRIMARY KEY)")
    assert "facts_y2024m02" in dissolve(ranged)
    assert ranged.rows("SELECT count(*) FROM pg_index WHERE indrelid = 'facts_y2024m02'::regclass") == [(1,)]
    ((state,),) = ranged.rows("SELECT count(*) FROM pg_class WHERE relname ~ 'drivetrain.*state'")
    assert state == 0
