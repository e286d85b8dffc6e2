"""The sessions beside a benchmark's work: what they record, and that they end with it."""

from __future__ import annotations

import multiprocessing

import psycopg
import pytest

from benchmarks.writers import Operation, Readers, Record, Writers, beside


def wait_for(dsn: str, query: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(1000):
            row = connection.execute(query.encode()).fetchone()
            if row and row[0]:
                return
            connection.execute("SELECT pg_sleep(0.01)")
    pytest.fail(f"never true: {query}")


def test_waits_and_failures_are_recorded(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (a bigint)")
    writers = Writers(
        empty_database,
        {"insert": Operation("INSERT INTO t VALUES (%s)", (range(5, 8),)), "divide": Operation("SELECT 1 / 0")},
        sessions=2,
    )
    with beside(writers, Readers(empty_database, "t", "SELECT count(*) FROM t", 0.05)) as record:
        wait_for(empty_database, "SELECT count(*) > 20 FROM t")
        assert record.count == 0  # told at the end
    assert set(record.waits) == {"insert", "divide", "long read's lock"}
    assert set(record.failures) == {"divide: division by zero"}
    assert record.longest() >= record.longest("insert") > 0
    assert record.count == sum(map(len, record.waits.values())) > 40
    with psycopg.connect(empty_database) as connection:
        row = connection.execute("SELECT count(*), min(a) >= 5 AND max(a) <= 7 FROM t").fetchone()
    assert row == (len(record.waits["insert"]), True)


def test_a_session_that_cannot_connect_is_a_failure(empty_database: str) -> None:
    nowhere = psycopg.conninfo.make_conninfo(empty_database, dbname="no such database")
    operations = {"read": Operation("SELECT 1")}
    with beside(Writers(empty_database, operations), Writers(nowhere, operations, sessions=1)) as record:
        pass
    assert ["no such database" in failure for failure in record.failures] == [True]


def test_they_end_with_the_work_that_fails(empty_database: str) -> None:
    with pytest.raises(ZeroDivisionError), beside(Writers(empty_database, {"read": Operation("SELECT 1")})):
        raise ZeroDivisionError
    assert multiprocessing.active_children() == []


def test_longest_and_median() -> None:
    record = Record({"a": [1.0, 5.0], "b": [2.0]})
    assert (record.longest(), record.longest("b"), record.median, record.count) == (5.0, 2.0, 2.0, 3)
