"""Who reads a raw table while it is loaded sees all of it, old or new, and does not wait for long.

What belongs here: readers of the warehouse, and the locks that they and a load hold. What does not: two loads of one
table (``tests/faults/test_ingest_conflicts.py``).
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import psycopg
import pytest
from ingesting import Bench

from warehouse.errors import Busy


class Reader(threading.Thread):
    """Asks the same question until told to stop; remembers answers and errors."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.ask, self.answers, self.errors, self.enough = ask, set[object](), list[BaseException](), threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            try:
                self.answers.add(self.ask())
            except BaseException as error:
                self.errors.append(error)
                return

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join(30)


@pytest.mark.parametrize("how", ["select", "view", "copy", "prepared"])
def test_readers_never_see_an_empty_or_half_table(bench: Bench, how: str) -> None:
    bench.source(
        "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 2000) i"
    )
    bench.declare("t", key=["id"])
    bench.ingest("t")
    bench.warehouse("CREATE VIEW {raw}.seen AS SELECT id, v FROM {raw}.t")
    count = f"SELECT count(*), min(v), max(v) FROM {bench.raw}.{'seen' if how == 'view' else 't'}"
    with psycopg.connect(bench.pair.warehouse_admin, autocommit=True) as connection:
        connection.prepare_threshold = 0 if how == "prepared" else None

        def ask() -> object:
            if how == "copy":
                with connection.cursor().copy(f"COPY ({count}) TO STDOUT") as copy:
                    return tuple(int(value) for value in b"".join(copy).split())
            return connection.execute(count).fetchone()

        with Reader(ask) as reader:
            for number in range(1, 21):
                bench.source(f"UPDATE t SET v = {number}")
                assert bench.ingest("t").rows_written == 2000
    assert not reader.errors
    assert reader.answers <= {(2000, number, number) for number in range(21)}
    assert len(reader.answers) > 3
    assert bench.warehouse("SELECT count(*) FROM {raw}.seen") == [(2000,)]


@pytest.mark.parametrize("mode", ["full", "partition"])
def test_an_old_snapshot_of_a_reader_sees_no_empty_table(bench: Bench, mode: str) -> None:
    """Swapped-in rows are newer than a repeatable-read transaction (pg_dump, say), which must not see nothing."""
    bench.source("CREATE TABLE t (id int, at date NOT NULL, v int, PRIMARY KEY (id, at))")
    bench.source("INSERT INTO t SELECT i, '2024-01-15', 0 FROM generate_series(1, 100) i")
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": mode})
    bench.ingest("t")
    with psycopg.connect(bench.pair.warehouse_admin) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        bench.source("UPDATE t SET v = 1")
        assert bench.ingest("t").rows_written == 100
        assert reader.execute(f"SELECT count(*) FROM {bench.raw}.t").fetchone() == (100,)


def test_a_long_reader_delays_a_load_and_no_other_reader(bench: Bench) -> None:
    bench.source("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    bench.declare("t", key=["id"])
    bench.ingest("t")
    bench.source("INSERT INTO t VALUES (2)")
    count = f"SELECT count(*) FROM {bench.raw}.t"
    done: list[object] = []
    with psycopg.connect(bench.pair.warehouse_admin) as long_reader:
        long_reader.execute(count)
        loading = threading.Thread(target=lambda: done.append(bench.ingest("t")))
        loading.start()
        with psycopg.connect(bench.pair.warehouse_admin, autocommit=True) as other:
            other.execute("SET statement_timeout = '1500ms'")
            waits = []
            deadline = dt.datetime.now() + dt.timedelta(seconds=3)
            while dt.datetime.now() < deadline:
                began = dt.datetime.now()
                assert other.execute(count).fetchone() == (1,)
                waits.append(dt.datetime.now() - began)
        assert not done
    loading.join(30)
    assert done
    assert max(waits) < dt.timedelta(seconds=1.2)
    assert bench.assert_equal("t") == 2


@pytest.mark.parametrize("held", ["t", "t__rows"])
def test_an_endless_lock_ends_in_busy(bench: Bench, monkeypatch: pytest.MonkeyPatch, held: str) -> None:
    monkeypatch.setattr("warehouse.state.raw_store._SWAP_ATTEMPTS", 2)
    monkeypatch.setattr("warehouse.ingest.apply.LOCK_TIMEOUT", "1s")
    bench.source("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    bench.declare("t", key=["id"])
    bench.ingest("t")
    before = bench.state("t")
    bench.source("INSERT INTO t VALUES (2)")
    with psycopg.connect(bench.pair.warehouse_admin) as holder:
        mode = "ACCESS SHARE" if held == "t" else "ACCESS EXCLUSIVE"
        holder.execute(f"LOCK TABLE {bench.raw}.{held} IN {mode} MODE".encode())
        with pytest.raises(Busy, match="t"):
            bench.ingest("t")
    assert bench.state("t") == before
    bench.ingest("t")
    assert bench.assert_equal("t") == 2


def test_a_column_added_while_a_reader_reads_makes_no_queue(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.state.raw_store._SWAP_ATTEMPTS", 2)
    bench.source("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1)")
    bench.declare("t", key=["id"], only=("id",))
    bench.ingest("t")
    bench.declare("t", key=["id"])
    with psycopg.connect(bench.pair.warehouse_admin) as long_reader:
        long_reader.execute(f"SELECT count(*) FROM {bench.raw}.t")
        with pytest.raises(Busy):
            bench.ingest("t")
    bench.ingest("t")
    assert bench.assert_equal("t") == 1


def test_readers_do_not_wait_for_the_source(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest cursor is a question to the source: asked before the swap locks readers out, or they wait for it."""
    bench.source("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 9) i")
    bench.incremental("t", cursor="v")
    bench.ingest("t")
    bench.warehouse("UPDATE platform.watermark SET high_water = NULL WHERE table_name = 't'")
    bench.source("INSERT INTO t VALUES (10, 10)")
    seen: list[object] = []
    from warehouse.ingest import sql as queries

    original = queries.highest

    def asked(*arguments: object) -> object:
        with psycopg.connect(bench.pair.warehouse_admin, autocommit=True) as reader:
            reader.execute("SET statement_timeout = '2s'")
            seen.append(reader.execute(f"SELECT count(*) FROM {bench.raw}.t").fetchone())
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(queries, "highest", asked)
    bench.ingest("t")
    assert seen
    assert bench.assert_equal("t") == 10
