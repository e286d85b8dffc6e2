"""What a query reads of each table: enough for its answer, and no more than it need."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlglot import parse_one

from warehouse.errors import ConfigurationError
from warehouse.reading.scans import Condition, Scan, plan_query

TABLES = {
    "app": {
        "rides": {"id": "bigint", "rider": "bigint", "at": "timestamp with time zone", "metres": "integer"},
        "riders": {"id": "bigint", "name": "text"},
    }
}


def scans(text: str) -> list[Scan]:
    return plan_query(text, TABLES)[1]


def conditions(text: str) -> list[Condition]:
    (scan,) = scans(text)
    return list(scan.conditions)


def test_only_columns_that_are_asked_for_are_read() -> None:
    (scan,) = scans("SELECT rider, sum(metres) FROM app.rides WHERE id > 5 GROUP BY rider")
    assert set(scan.columns) == {"rider", "metres", "id"}
    assert set(scans("SELECT * FROM app.rides")[0].columns) == {"id", "rider", "at", "metres"}
    assert scans("SELECT count(*) FROM app.rides")[0].columns == ()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("id = 5", [Condition("id", "=", (5,))]),
        ("5 < id", [Condition("id", ">", (5,))]),
        ("id IN (1, 2, 3)", [Condition("id", "=", (1, 2, 3))]),
        ("metres BETWEEN -1.5 AND 9", [Condition("metres", ">=", (-1.5,))]),
        ("at >= DATE '2024-01-01'", [Condition("at", ">=", ("2024-01-01",))]),
        ("at < TIMESTAMPTZ '2024-02-01 00:00+00' AND (id = 1)",
         [Condition("at", "<", ("2024-02-01 00:00:00",)), Condition("id", "=", (1,))]),
        ("id = 1 OR id = 2", []),
        ("NOT id = 1", []),
        ("id <> 1", []),
        ("id IS NULL", []),
        ("id = rider", []),
        ("id + 1 = 2", []),
        ("id IN (SELECT 1)", []),
        ("at > now() - INTERVAL 1 DAY", []),
        ("id IN (1, rider)", []),
    ],
)  # fmt: skip
def test_comparisons_with_constants_are_conditions_and_nothing_else_is(where: str, expected: list[Condition]) -> None:
    assert conditions(f"SELECT id FROM app.rides WHERE {where}") == expected


def test_each_reading_of_a_table_is_its_own() -> None:
    query, found = plan_query(
        "WITH far AS (SELECT * FROM app.rides AS r WHERE r.metres > 1000)"
        " SELECT n.name, far.id FROM far LEFT JOIN app.riders AS n ON n.id = far.rider AND n.name = 'x'"
        " WHERE n.id = 3 UNION ALL SELECT 'all', id FROM app.rides",
        TABLES,
    )
    found.sort(key=lambda scan: (scan.table, scan.conditions == ()))
    assert [(scan.table, scan.conditions) for scan in found] == [
        ("riders", (Condition("id", "=", (3,)),)), ("rides", (Condition("metres", ">", (1000,)),)), ("rides", ()),
    ]  # fmt: skip
    assert all(scan.name in query for scan in found)
    assert '"app"' not in query


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("SELECT count(*), sum( metres )/1000 FROM app.rides", ["count(*)", "sum( metres )/1000"]),
        ("SELECT COUNT(*) AS Trips, max(id) AS \"The Last\", rider FROM app.rides ORDER BY trips, rider",
         ["Trips", "The Last", "rider"]),
        ("SELECT DISTINCT count(*), count(*), id::text FROM app.rides GROUP BY id", ["count(*)", "count(*)", "id"]),
        ("SELECT *, id + 1 -- , x\n, length('a, b') FROM app.rides",
         ["id", "rider", "at", "metres", "id + 1", "length('a, b')"]),
        ("SELECT id IS DISTINCT FROM rider, max(id)::text FROM app.rides GROUP BY 1",
         ["id IS DISTINCT FROM rider", "CAST(max(id) AS TEXT)"]),
        ("WITH few AS (SELECT 1, 2 FROM app.rides) SELECT * FROM few", ["1", "2"]),
        ("SELECT avg(id) FROM app.rides UNION ALL SELECT max(id) AS m FROM app.rides", ["avg(id)"]),
        ("FROM app.rides SELECT (SELECT max(id) FROM app.riders), [1, 2]",
         ["(SELECT max(id) FROM app.riders)", "[1, 2]"]),
        ("SELECT * FROM (SELECT COUNT(*) FROM app.rides)", ["count(*)"]),
    ],
)  # fmt: skip
def test_columns_are_named_as_they_are_written(text: str, headings: list[str]) -> None:
    query = parse_one(plan_query(text, TABLES)[0], read="duckdb")
    assert [column.alias for column in query.selects] == headings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DELETE FROM app.rides", "one SELECT is asked for"),
        ("SELECT 1; SELECT 2", "one SELECT is asked for"),
        ("SELECT FROM WHERE", "cannot be read"),
        ("SELECT nothing FROM app.rides", "nothing"),
        ("SELECT * FROM rides", "there is no table 'rides'"),
        ("SELECT * FROM app.bikes", "there is no table 'app.bikes'"),
        ("SELECT * FROM other.rides", "there is no table 'other.rides'"),
        ("SELECT * FROM read_parquet('/etc/passwd')", "there is no table"),
        ("COPY app.rides TO '/tmp/x'", "one SELECT is asked for"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        plan_query(text, TABLES)


@pytest.mark.parametrize(
    ("where", "months"),
    [
        ("at >= '2024-02-01'", [2, 3]),
        ("at < '2024-02-01'", [1]),
        ("at <= '2024-02-01'", [1, 2]),
        ("at > '2024-01-31 23:59:59.999999'", [1, 2, 3]),
        ("at = '2024-02-29 12:00:00+05:30'", [2]),
        ("at IN ('2024-01-31 23:00-02', '2024-03-01')", [2, 3]),
        ("at >= '2024-02-10' AND at < '2024-02-20'", [2]),
        ("at >= '2025-01-01'", []),
        ("at >= 'yesterday'", [1, 2, 3]),
        ("id = 1", [1, 2, 3]),
    ],
)
def test_months_that_cannot_have_rows_are_not_read(where: str, months: list[int]) -> None:
    (scan,) = scans(f"SELECT id FROM app.rides WHERE {where}")
    starts = [dt.datetime(2024, month, 1, tzinfo=dt.UTC) for month in (1, 2, 3, 4)]
    assert [month for month in (1, 2, 3) if scan.within("at", starts[month - 1], starts[month])] == months
