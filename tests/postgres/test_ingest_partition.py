"""Mode partition: months of UTC, of which only changed ones are loaded, and those that left the source are kept.

What belongs here: months, their scopes and zones, and the source's partitions. What does not: what is asked of every
mode (``test_ingest_modes``), and partitions that go during a load (``test_ingest_snapshots``).
"""

from __future__ import annotations

import pytest
from ingesting import PARTITIONED, Bench, month, reasons

from warehouse.errors import CatalogMismatch
from warehouse.ingest import Months


def test_only_changed_months_are_loaded(facts: Bench) -> None:
    assert facts.ingest("facts").rows_written == facts.assert_equal("facts") == 360
    assert set(facts.relations()) == {"facts", "facts_y2024m01", "facts_y2024m02", "facts_y2024m03"}
    before = facts.relations()
    facts.source("INSERT INTO facts VALUES (-1, '2024-01-15+00', 'late'); DELETE FROM facts WHERE id = 359")
    assert reasons(facts.ingest("facts")) == {"2024-01": "source changed", "2024-03": "source changed"}
    assert facts.relations()["facts_y2024m02"] == before["facts_y2024m02"]
    assert facts.assert_equal("facts") == 360
    facts.source(
        "UPDATE facts SET v = 'changed' WHERE id = 130; UPDATE facts SET at = at + interval '40 days' WHERE id = 1"
    )
    facts.source(
        "CREATE TABLE facts_y2024m04 PARTITION OF facts FOR VALUES FROM ('2024-04-01+00') TO ('2024-05-01+00')"
    )
    facts.source("INSERT INTO facts VALUES (999, '2024-04-30 23:59:59.999999+00', 'new')")
    assert set(reasons(facts.ingest("facts"))) == {"2024-01", "2024-02", "2024-04"}
    assert facts.assert_equal("facts") == 361


def test_an_emptied_month_is_emptied_and_a_dropped_one_kept(facts: Bench) -> None:
    facts.ingest("facts")
    kept = facts.rows("facts", of="warehouse", where="at < '2024-02-01+00'")
    facts.source("DELETE FROM facts WHERE at >= '2024-02-01+00' AND at < '2024-03-01+00'; DROP TABLE facts_y2024m01")
    result = facts.ingest("facts")
    assert reasons(result) == {"2024-02": "emptied at the source"}
    assert result.left_source == (month("2024-01"),)
    assert facts.rows("facts", of="warehouse", where="at < '2024-02-01+00'") == kept
    assert facts.assert_equal("facts", where="at >= '2024-02-01+00'") > 0
    again = facts.ingest("facts")
    assert (again.loads, again.left_source) == ((), (month("2024-01"),))
    # Detached is dropped, too; attached again it is compared again.
    facts.source("ALTER TABLE facts DETACH PARTITION facts_y2024m03")
    assert facts.ingest("facts").left_source == (month("2024-01"), month("2024-03"))
    facts.source("DELETE FROM facts_y2024m03 WHERE id = 300")
    facts.source(
        "ALTER TABLE facts ATTACH PARTITION facts_y2024m03 FOR VALUES FROM ('2024-03-01+00') TO ('2024-04-01+00')"
    )
    assert reasons(facts.ingest("facts")) == {"2024-03": "source changed"}
    assert facts.assert_equal("facts", where="at >= '2024-02-01+00'") == 119


def test_partitions_that_are_not_utc_months(bench: Bench) -> None:
    """Bounds at midnight of another zone: a dropped partition takes part of a UTC month, which the warehouse keeps."""
    bench.source("""
        CREATE TABLE facts (id bigint, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE f1 PARTITION OF facts FOR VALUES FROM ('2024-01-01+05:30') TO ('2024-02-01+05:30');
        CREATE TABLE f2 PARTITION OF facts FOR VALUES FROM ('2024-02-01+05:30') TO ('2024-03-01+05:30');
        CREATE TABLE f3 PARTITION OF facts FOR VALUES FROM ('2024-03-01+05:30') TO ('2024-04-01+05:30');
        INSERT INTO facts SELECT i, '2023-12-31 19:00+00'::timestamptz + i * interval '6 hours'
            FROM generate_series(0, 359) i;
    """)
    bench.monthly("facts")
    bench.ingest("facts")
    assert bench.assert_equal("facts") == 360
    old = bench.rows("facts", of="warehouse", where="at < '2024-02-01+05:30'")
    bench.source("DROP TABLE f1; INSERT INTO facts VALUES (-1, '2024-02-01 00:00+05:30')")
    result = bench.ingest("facts")
    assert month("2024-01") in result.left_source
    assert bench.rows("facts", of="warehouse", where="at < '2024-02-01+05:30'") == old
    bench.assert_equal("facts", where="at >= '2024-02-01+05:30'")
    assert bench.ingest("facts").loads == ()
    # Rows of the month's part that is still there go when the source deletes them.
    bench.source("DELETE FROM facts WHERE at < '2024-02-01 00:00+00'")
    bench.ingest("facts")
    assert bench.rows("facts", of="warehouse", where="at < '2024-02-01+05:30'") == old
    bench.assert_equal("facts", where="at >= '2024-02-01+05:30'")


def test_daily_partitions_of_which_some_days_are_dropped(bench: Bench) -> None:
    bench.source("CREATE TABLE facts (id bigint, at timestamp NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    for day in (1, 2, 3):
        bench.source(
            f"CREATE TABLE d{day} PARTITION OF facts FOR VALUES FROM ('2024-01-0{day}') TO ('2024-01-0{day + 1}')"
        )
        bench.source(f"INSERT INTO facts SELECT i, '2024-01-0{day} 12:00' FROM generate_series(1, 10) i")
    bench.monthly("facts")
    bench.ingest("facts")
    bench.source("DROP TABLE d1; DELETE FROM d2 WHERE id = 1; INSERT INTO d3 VALUES (11, '2024-01-03')")
    bench.ingest("facts")
    assert bench.warehouse("SELECT to_char(at, 'YYYY-MM-DD'), count(*) FROM {raw}.facts GROUP BY 1 ORDER BY 1") == [
        ("2024-01-01", 10), ("2024-01-02", 9), ("2024-01-03", 11),
    ]  # fmt: skip
    assert bench.ingest("facts").loads == ()


@pytest.mark.parametrize(
    ("time", "zone"), [("date", ""), ("timestamp", ""), ("timestamptz", "+00"), ("timestamptz(0)", "+00")]
)
def test_kinds_of_time_column_and_zones(bench: Bench, time: str, zone: str) -> None:
    """Months are UTC months, whatever the zone of either server and the first or last instant of a month."""
    for execute, name in ((bench.source, bench.pair.source), (bench.warehouse, bench.pair.warehouse)):
        execute(f"ALTER DATABASE {name} SET timezone = 'Pacific/Kiritimati'")
    try:
        bench.source(PARTITIONED.format(time=time, zone=zone).replace("'6 hours'", "'1 day'").replace("359", "90"))
        edges = [f"2024-0{m}-01 00:00:00{zone}" for m in (1, 2, 3)] + [
            f"2024-0{m}-{d} 23:59:59{zone}" for m, d in ((1, 31), (2, 29))
        ]
        for number, edge in enumerate(edges):
            bench.source(f"INSERT INTO facts VALUES ({-number - 1}, '{edge}')")
        bench.monthly("facts")
        bench.ingest("facts")
        assert bench.assert_equal("facts") == 96
        bench.source("UPDATE facts SET v = 'edge' WHERE id < 0")
        assert set(reasons(bench.ingest("facts"))) == {"2024-01", "2024-02", "2024-03"}
        bench.assert_equal("facts")
        assert bench.ingest("facts").loads == ()
    finally:
        for execute, name in ((bench.source, bench.pair.source), (bench.warehouse, bench.pair.warehouse)):
            execute(f"ALTER DATABASE {name} RESET timezone")


def test_a_scope_of_months_touches_no_other(facts: Bench) -> None:
    facts.ingest("facts")
    facts.source("UPDATE facts SET v = 'changed'")
    february = Months(month("2024-02"), month("2024-02"))
    assert set(reasons(facts.ingest("facts", months=february))) == {"2024-02"}
    facts.assert_equal("facts", where="at >= '2024-02-01+00' AND at < '2024-03-01+00'")
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts WHERE v = 'changed'") == [(116,)]
    assert set(reasons(facts.ingest("facts", months=Months(last=month("2024-02"))))) == {"2024-01"}
    assert set(reasons(facts.ingest("facts", months=Months(first=month("2024-03"))))) == {"2024-03"}
    facts.assert_equal("facts")


def test_rows_outside_of_every_month_of_history(bench: Bench) -> None:
    bench.source("CREATE TABLE facts (id bigint, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    for number, time in enumerate(("1970-01-01", "2024-05-05", "2999-12-31", "0001-01-01")):
        bench.source(f"INSERT INTO facts VALUES ({number}, '{time}+00')")
    bench.monthly("facts")
    bench.ingest("facts", months=Months(last=month("2024-05")))
    bench.ingest("facts", months=Months(first=month("2024-05")))
    assert bench.assert_equal("facts") == 4


@pytest.mark.parametrize("months", [Months(), Months(first=month("2024-01")), Months(last=month("2024-06")),
                                    Months(month("2024-02"), month("2024-03"))], ids=str)  # fmt: skip
def test_rows_without_a_month_are_refused_in_every_scope(bench: Bench, months: Months) -> None:
    """A NULL is in no month: a run that is asked for some months must not pass over it in silence."""
    bench.source("CREATE TABLE facts (id int PRIMARY KEY, at timestamptz)")
    bench.source("INSERT INTO facts VALUES (1, '2024-02-02+00')")
    bench.declare("facts", key=("id",), time="at", ingest={"mode": "partition"})
    bench.ingest("facts", months=months)
    bench.source("INSERT INTO facts VALUES (2, NULL)")
    with pytest.raises(CatalogMismatch, match=r"facts\.at: rows without a month: 1 with NULL"):
        bench.ingest("facts", months=months)


@pytest.mark.parametrize("time", ["infinity", "-infinity", "0044-03-15 BC", "9999-12-31+00", "12024-01-01+00"])
def test_a_time_that_is_in_no_month_is_refused(bench: Bench, time: str) -> None:
    bench.source("CREATE TABLE facts (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    bench.source("INSERT INTO facts VALUES (1, '2024-02-02+00')")
    bench.monthly("facts")
    bench.ingest("facts")
    before = bench.state("facts")
    bench.source(f"INSERT INTO facts VALUES (2, '{time}'), (3, '2024-02-03+00')")
    with pytest.raises(CatalogMismatch, match=r"facts\.at"):
        bench.ingest("facts")
    assert bench.state("facts") == before
