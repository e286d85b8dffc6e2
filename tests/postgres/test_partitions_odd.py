"""Odd calendars, clocks, zones, names and numbers of partitions, on real servers."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest
from partitioned import MONTHLY, QUICK, Place, filled, kinds, target
from psycopg import sql

from warehouse.catalog.partition import RangePartition
from warehouse.catalog.periods import Period
from warehouse.partitions.apply import maintain, read_and_plan
from warehouse.postgres.sessions import connect

DAILY = RangePartition(range="at", every="day", name="{table}_{year}{month}{day}", premake=2)


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize("day", ["2024-03-10", "2024-11-03"])
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_days_without_an_hour_and_with_one_too_many_are_days_of_utc(place: Place, kind: str, day: str) -> None:
    """The clocks change in New York, where database, role and writer are."""
    place(f"CREATE TABLE facts (at {kind}, said timestamptz) PARTITION BY RANGE (at)")
    place.own("facts")
    place("ALTER DATABASE {} SET timezone = 'America/New_York'", place.admin.info.dbname)
    place("ALTER ROLE {} SET timezone = 'America/New_York'", place.maintainer)
    assert not place.maintain(DAILY, at=moment(day)).failed
    place("SET timezone = 'America/New_York'")
    written = "said" if kind == "timestamptz" else "said AT TIME ZONE 'UTC'"
    place(
        f"INSERT INTO facts SELECT {written}, said"
        f" FROM generate_series(timestamptz '{day} 00:00+00' - interval '1 day',"
        f" timestamptz '{day} 23:45+00' + interval '1 day', '15 minutes') AS said"
    )
    found = place.rows(
        "SELECT tableoid::regclass::text = 'facts_' || to_char(said AT TIME ZONE 'UTC', 'YYYYMMDD'), count(*)"
        " FROM facts GROUP BY 1"
    )
    assert found == [(True, 3 * 96)]
    assert kinds(place.plan(DAILY, at=moment(day))) == []


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
@pytest.mark.parametrize(
    ("every", "at", "names"),
    [
        ("day", "2024-02-28", ["0227", "0228", "0229", "0301"]),
        ("day", "2100-02-28", ["0227", "0228", "0301", "0302"]),
        ("week", "2024-02-29", ["0219", "0226", "0304", "0311"]),
        ("month", "2024-02-29", ["0101", "0201", "0301", "0401"]),
        ("quarter", "2000-02-29", ["1001", "0101", "0401", "0701"]),
        ("year", "2024-02-29", ["0101", "0101", "0101", "0101"]),
    ],
)
def test_leap_days_have_their_period(place: Place, kind: str, every: Period, at: str, names: list[str]) -> None:
    place(f"CREATE TABLE facts (at {kind}) PARTITION BY RANGE (at)")
    place.own("facts")
    policy = DAILY.model_copy(update={"every": every})
    report = place.maintain(policy, at=moment(at))
    assert not report.failed, report
    assert [name[-4:] for name in place.partitions()] == names
    place(f"INSERT INTO facts SELECT '{at}'::date + d FROM generate_series(-1, 1) AS d")
    # Today's statistics are old in 2100.
    assert set(kinds(place.plan(policy, at=moment(at)))) <= {"analyze"}


def test_a_clock_that_is_set_back_makes_nothing_and_drops_nothing(place: Place) -> None:
    filled(place)
    before = place.partitions()
    for earlier in ("2024-02-01", "2024-01-31", "2023-12-31", "2023-10-01"):
        report = place.maintain(at=moment(earlier))
        made = [done.action.partition for done in report.done if done.action.kind == "create"]
        assert (report.failed, set(made) & set(before)) == (False, set())
        assert set(before) <= set(place.partitions())
    now = place.partitions()
    assert now[0] == "facts_y2023m10"
    for wrong in ("2022-01-01", "1970-01-01", "0001-01-01"):
        report = place.maintain(at=moment(wrong))
        (refused,) = report.findings
        assert (refused.kind, place.partitions()) == ("refuse", now)
        assert refused.reason.endswith("its oldest partition begins on 2023-10-01")
    assert kinds(place.plan()) == []


def test_names_with_quotes_capitals_and_spaces_wherever_there_are_names(place: Place) -> None:
    schema, table, role = 'Sch"ema; Ä', "Or\"der [/] It'ems %s", f'The "{place.app}"'
    place("CREATE SCHEMA {}", schema)
    place("GRANT USAGE, CREATE ON SCHEMA {} TO {}", schema, place.owner)
    place("CREATE ROLE {}", role)
    try:
        relation = sql.Identifier(schema, table).as_string()
        part = sql.Identifier(schema, f'{table} P2024"01').as_string()
        january = "FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00')"
        run = place.admin.execute
        run(f'CREATE TABLE {relation} ("Ä" timestamptz NOT NULL, "it\'s %s" text) PARTITION BY RANGE ("Ä")'.encode())
        run(f"CREATE TABLE {part} PARTITION OF {relation} {january}".encode())
        for each in (relation, part):
            run(sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.SQL(each), sql.Identifier(place.owner)))  # type: ignore[arg-type]
            run(sql.SQL('GRANT SELECT ("it\'s %s") ON {} TO {}').format(sql.SQL(each), sql.Identifier(role)))  # type: ignore[arg-type]
            run(f'CREATE POLICY "p\'o""l %s" ON {each} USING ("it\'s %s" <> \'%s\')'.encode())
            run(f"COMMENT ON COLUMN {each}.\"it's %s\" IS '100 %s; \"''\"'".encode())
        run(f'CREATE UNIQUE INDEX "i\'d ""%s" ON {relation} ("Ä")'.encode())
        run(f'ALTER TABLE {relation} REPLICA IDENTITY USING INDEX "i\'d ""%s"'.encode())
        run(f'CREATE INDEX "made later %s" ON ONLY {relation} ("it\'s %s") WHERE "it\'s %s" <> \'%s\''.encode())
        policy = RangePartition(range="Ä", name='{table} P{year}"{month}')
        with connect(place.dsn, see_all_rows=True) as connection:
            report = maintain(connection, target(policy, table), (schema, table), moment("2024-02-29"), QUICK)
            assert (report.failed, report.findings) == (False, []), report
            assert {done.action.kind for done in report.done} == {"create", "mend", "index", "analyze"}
            ((_, facts, actions),) = read_and_plan(
                connection, [(target(policy, table), (schema, table))], moment("2024-02-29")
            )
        assert facts is not None and actions == []
        assert [part.name for part in facts.parts] == [f'{table} P2024"0{month}' for month in range(1, 6)]
        sibling = facts.parts[0].surroundings
        assert {part.surroundings for part in facts.parts} == {sibling}
        assert (len(sibling.policies), sibling.replica_identity) == (1, 'index ("Ä")')
        run(f"INSERT INTO {relation} VALUES ('2024-05-01+00', 'x')".encode())
    finally:
        place("DROP SCHEMA {} CASCADE", schema)
        place("DROP ROLE {}", role)


def test_a_name_of_63_bytes_is_taken_and_one_of_64_is_refused(place: Place) -> None:
    table = "ä" * 27 + "x"
    place("CREATE TABLE {} (at timestamptz NOT NULL, v text) PARTITION BY RANGE (at)", table)
    place.own(table)
    place("CREATE UNIQUE INDEX {} ON {} (at)", "ü" * 31, table)
    place("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", table, "ü" * 31)
    exact = MONTHLY.model_copy(update={"name": "{table}_{year}{month}x"})
    assert len(f"{table}_202401".encode()) == 62
    report = place.maintain(exact, table=table)
    assert (report.failed, report.findings) == (False, []), report
    assert place.partitions(table) == [f"{table}_2024{month:02d}x" for month in (1, 2, 3, 4, 5)]
    assert kinds(place.plan(exact, table=table)) == []
    longer = MONTHLY.model_copy(update={"name": "{table}_{year}{month}xy"})
    place("DROP TABLE {}", f"{table}_202405x")
    (refused,) = place.plan(longer, table=table)
    assert (refused.kind, refused.reason) == ("refuse", "its name has 64 bytes, and PostgreSQL cuts names at 63")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_partitions_are_read_and_one_is_added(place: Place) -> None:
    """27 years of days. Making them takes minutes; what maintenance then takes is in docs/engineers.md."""
    place(
        "CREATE TABLE facts (id bigint, at timestamptz NOT NULL, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)"
    )
    place("CREATE INDEX facts_v ON facts (v)")
    place.own("facts")
    made, last = moment("1997-01-01"), moment("2024-05-19")
    place("SET ROLE {}", place.owner)
    while made < last:
        with place.admin.transaction():
            for _ in range(200):
                if made < last:
                    place.admin.execute(
                        sql.SQL("CREATE TABLE {} PARTITION OF facts FOR VALUES FROM ({}) TO ({})").format(
                            sql.Identifier(f"facts_{made:%Y%m%d}"), made, made + dt.timedelta(days=1)
                        )
                    )
                    made += dt.timedelta(days=1)
    place("RESET ROLE")
    report = place.maintain(DAILY, at=moment("2024-05-17"))
    assert not report.failed, report
    assert [done.action.partition for done in report.done] == ["facts_20240519", ""]
    assert len(place.partitions()) == 10_001
    assert place.maintain(DAILY, at=moment("2024-05-17")).done == []
    with pytest.raises(psycopg.errors.UniqueViolation):
        place("INSERT INTO facts SELECT 1, '2024-05-19+00' FROM generate_series(1, 2)")
    names = place.partitions()  # a transaction has not locks enough to drop all of them
    for some in (names[start : start + 500] for start in range(0, len(names), 500)):
        place.admin.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(", ").join(map(sql.Identifier, some))))
