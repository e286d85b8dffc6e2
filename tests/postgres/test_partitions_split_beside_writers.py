"""Splitting filled partitions beside sessions that write: nothing is lost or doubled, and nobody is kept waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from partitioned import Place, make_ledger
from splitting import ROWS, content, doubling, run

from warehouse.errors import Busy
from warehouse.partitions import mirror
from warehouse.partitions import split as splits
from warehouse.partitions.apply import Patience
from warehouse.partitions.split import split
from warehouse.partitions.splitting import Splitting
from warehouse.postgres.sessions import connect


@pytest.fixture
def place(place: Place) -> Place:
    make_ledger(place, ROWS)
    return place


class Writers:
    """Sessions that insert, update, move and delete until they are stopped.

    Each has rows of its own: two of them at one row that moves are an error of PostgreSQL's, with or without a split.
    """

    def __init__(self, place: Place, isolation: psycopg.IsolationLevel) -> None:
        self.place, self.isolation = place, isolation
        self.end = threading.Event()
        self.failures: list[psycopg.Error] = []
        self.done = 0
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(3)]

    def work(self, number: int) -> None:
        info = self.place.admin.info
        with psycopg.connect(info.dsn, password=info.password) as connection:
            connection.isolation_level = self.isolation
            turn = 0
            while not self.end.is_set():
                turn += 1
                target = 1 + number * 1000 + turn * 37 % 990
                try:
                    connection.execute("INSERT INTO ledger (rider, amount) VALUES (%s, %s)", (turn % 100, turn))
                    connection.execute("UPDATE ledger SET note = 'seen', amount = amount + 1 WHERE id = %s", (target,))
                    connection.execute("UPDATE ledger SET rider = (rider + 1) %% 100 WHERE id = %s", (target + 1,))
                    connection.execute("DELETE FROM ledger WHERE id = %s", (target + 2,))
                    connection.commit()
                    self.done += 1
                except psycopg.Error as error:
                    connection.rollback()
                    if self.isolation == psycopg.IsolationLevel.READ_COMMITTED or not isinstance(
                        error, psycopg.errors.SerializationFailure
                    ):
                        self.failures.append(error)

    def __enter__(self) -> Writers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("isolation", [psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ])
def test_nothing_is_lost_or_doubled_beside_writers(
    place: Place, isolation: psycopg.IsolationLevel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "LARGEST", 100)
    original = splits._swap  # type: ignore[reportPrivateUsage]
    compared: list[bool] = []

    def swap(connection: Any, splitting: Splitting, *others: Any) -> None:
        """With the parent locked by nobody yet: then the writers go on until the lock is had."""
        connection.execute("LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE")
        whole = connection.execute("SELECT array_agg(p::text ORDER BY id) FROM ledger_p0 AS p").fetchone()
        mark = splitting.mark
        pieces = connection.execute(
            f"SELECT array_agg(p::text ORDER BY id) FROM (SELECT * FROM {mark}_0 UNION ALL SELECT * FROM {mark}_1) AS p"
        ).fetchone()
        compared.append(whole == pieces)
        original(connection, splitting, *others)

    monkeypatch.setattr(splits, "_swap", swap)
    with Writers(place, isolation) as writers:
        run(place, doubling(0))
    assert writers.failures == []
    assert writers.done > 20
    assert compared[-1], "at the moment of the swap every row is in the pieces as it is in the partition"
    (wrong,) = place.rows("SELECT count(*) FROM ledger WHERE twice IS DISTINCT FROM amount * 2")
    assert wrong == (0,)
    rows, keys, *_ = content(place)
    assert rows == keys
    assert place.leftovers() == []


def test_copying_yields_to_a_writer_who_locks_rows_in_another_order(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copying holds the rows before the 90th and waits for it; its holder asks for the first. It must not lose."""
    info = place.admin.info
    change = "UPDATE ledger SET note = 'mine' WHERE id = (SELECT id FROM ledger_p0 ORDER BY id LIMIT 1 OFFSET {})"
    original = mirror.copy_batch
    failures: list[psycopg.Error] = []

    def second(writer: psycopg.Connection) -> None:
        waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'batch')"
        with psycopg.connect(info.dsn, password=info.password, autocommit=True) as watcher:
            while watcher.execute(waiting).fetchone() != (True,):
                pass
        try:
            writer.execute(change.format(0).encode())
            writer.commit()
        except psycopg.Error as error:
            failures.append(error)
            writer.rollback()

    with psycopg.connect(info.dsn, password=info.password) as writer:
        other = threading.Thread(target=second, args=(writer,))

        def copy_batch(*arguments: Any) -> int:
            if not other.ident:
                writer.execute(change.format(90).encode())
                other.start()
            return original(*arguments)

        monkeypatch.setattr(mirror, "copy_batch", copy_batch)
        run(place, doubling(0))
        other.join()
    assert failures == []
    assert place.rows("SELECT count(*) FROM ledger WHERE note = 'mine'") == [(2,)]
    assert place.partitions("ledger") == ["ledger_p0", "ledger_p1", "ledger_p2"]


def test_writers_do_not_wait_while_vacuum_is_waited_for(place: Place) -> None:
    """Whoever vacuums or analyses holds the partition for as long as it takes."""
    patience = Patience(lock_timeout=100, vacuum_timeout=400, attempts=2, pause=0.01)
    info = place.admin.info
    with psycopg.connect(info.dsn, password=info.password) as vacuum:

        def step(text: str) -> None:
            if text.endswith("swapping"):
                vacuum.execute("LOCK TABLE ledger_p0 IN SHARE UPDATE EXCLUSIVE MODE")
                writing.start()

        def write() -> None:
            with psycopg.connect(info.dsn, password=info.password, autocommit=True) as writer:
                writer.execute("SET lock_timeout = '50ms'")
                while not end.is_set():
                    writer.execute("INSERT INTO ledger (rider, amount) VALUES (1, 1)")
                    written.append(1)

        written: list[int] = []
        end, writing = threading.Event(), Failing(write)
        try:
            with (
                connect(place.dsn, see_all_rows=True) as connection,
                pytest.raises(Busy, match="no lock in 2 attempts"),
            ):
                split(connection, doubling(0), patience, step)
        finally:
            end.set()
            writing.join()
    assert writing.failure is None
    assert len(written) > 10
    run(place, doubling(0))
    assert content(place)[0] == ROWS + len(written)


class Failing(threading.Thread):
    """A thread whose failure can be seen."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self.work = work
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            self.work()
        except Exception as error:
            self.failure = error
