"""Whatever transactions write, in whatever order and beside whatever captures: source and warehouse end up equal."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import psycopg
import pytest
from capturing import capture, captured, drop_slots
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingesting import Bench, bench_on, databases

from demo.servers import Servers

_KEYS = st.integers(1, 6)
_STATEMENTS = st.one_of(
    st.builds("INSERT INTO t VALUES ({}, repeat('x', {}), {}) ON CONFLICT DO NOTHING".format,
              _KEYS, st.sampled_from((1, 5000)), st.sampled_from(("NULL", "1.0", "1.00"))),
    st.builds("UPDATE t SET n = coalesce(n, 0) + {} WHERE id = {}".format, st.sampled_from(("1", "0.0")), _KEYS),
    st.builds("UPDATE t SET large = repeat('y', {}) WHERE id = {}".format, st.sampled_from((2, 6000)), _KEYS),
    st.builds("UPDATE t SET id = {0} WHERE id = {1} AND NOT EXISTS (SELECT FROM t WHERE id = {0})".format,
              _KEYS, _KEYS),
    st.builds("DELETE FROM t WHERE id = {}".format, _KEYS),
)  # fmt: skip
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("transaction"), st.lists(_STATEMENTS, min_size=1, max_size=6)),
        st.tuples(st.just("rolled back"), st.lists(_STATEMENTS, min_size=1, max_size=3)),
        st.tuples(st.just("capture"), st.integers(1, 8)),
        st.just(("compare", 0)),
        st.just(("truncate", 0)),
    ),
    max_size=14,
)  # fmt: skip


@pytest.fixture(scope="module")
def table(servers: Servers) -> Iterator[Bench]:
    """One captured table whose large values are told only when they change."""
    with databases(servers) as pair, bench_on(pair) as bench:
        bench.source(
            "CREATE TABLE t (id int PRIMARY KEY, large text, n numeric); ALTER TABLE t ALTER large SET STORAGE EXTERNAL"
        )
        bench.declare("t", key=["id"])
        captured(bench, "t")
        capture(bench)
        yield bench
        drop_slots(bench)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_any_history(table: Bench, steps: list[tuple[str, object]]) -> None:
    for kind, what in steps:
        match kind, what:
            case (("transaction" | "rolled back"), [*statements]):
                end = "COMMIT" if kind == "transaction" else "ROLLBACK"
                table.source("BEGIN;" + ";".join(map(str, statements)) + ";" + end)
            case "capture", int(stretch):
                capture(table, stretch=stretch)
            case "compare", _:
                table.ingest("t")
            case _:
                table.source("TRUNCATE t")
    capture(table)
    table.assert_equal("t")
    assert table.ingest("t").loads == ()


def test_beside_writers(table: Bench) -> None:
    """Eight sessions write all the while, some in long transactions; comparisons and captures run among them."""
    stopped = threading.Event()
    failures: list[BaseException] = []

    def write(number: int) -> None:
        chance = random.Random(number)
        try:
            with psycopg.connect(table.pair.source_admin, options=f"-c search_path={table.name}") as session:
                while not stopped.is_set():
                    for _ in range(chance.randint(1, 8)):
                        key = chance.randint(100 * number, 100 * number + 60)
                        values = f"({key}, repeat('z', {chance.choice((1, 4000))}), {key})"
                        free = f"NOT EXISTS (SELECT FROM t WHERE id = {key + 1})"
                        session.execute(chance.choice((
                            f"INSERT INTO t VALUES {values} ON CONFLICT DO NOTHING",
                            f"UPDATE t SET n = n + 1 WHERE id = {key}",
                            f"UPDATE t SET id = id + 1 WHERE id = {key} AND {free}",
                            f"DELETE FROM t WHERE id = {key}",
                        )).encode())  # fmt: skip
                    if chance.random() < 0.1:
                        stopped.wait(0.2)
                    session.rollback() if chance.random() < 0.1 else session.commit()
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(1, 9)]
    for writer in writers:
        writer.start()
    compared: list[str | None] = []
    try:
        for turn in range(12):
            if turn % 4 == 3:
                table.ingest("t")
            compared.append(capture(table, stretch=300).tables["t"].compared)
    finally:
        stopped.set()
        for writer in writers:
            writer.join()
    assert failures == []
    assert set(compared) == {None}  # each time what the log told was enough
    assert capture(table).tables["t"].compared is None
    assert table.assert_equal("t") > 0
    assert table.ingest("t").loads == ()
