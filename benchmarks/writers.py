"""Sessions beside a piece of work: some write without a pause, some read and hold their snapshot; all are timed.

They live in a process of their own: what is measured beside them is not held up by their Python, nor they by its.
What does not belong here: which statements they send, and what is worked on meanwhile.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import signal
import statistics
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from benchmarks.model import BenchmarkError

#: How long all sessions may take to connect, and to finish what they are at.
PATIENCE = 120.0


@dataclass
class Record:
    """What sessions met with.

    Attributes:
        waits: seconds of every transaction, by operation.
        rows: inserted, updated, deleted or read by them, by operation.
        slowest: when the longest began (``time.monotonic``, one clock for all processes), and its seconds.
        failures: what went wrong, in words.
    """

    waits: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    slowest: tuple[float, float] = (0.0, 0.0)
    failures: list[str] = field(default_factory=list[str])
    _noting: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def every_wait(self) -> list[float]:
        """Those of all operations, in no order."""
        return [wait for waits in self.waits.values() for wait in waits]

    @property
    def count(self) -> int:
        """Transactions."""
        return len(self.every_wait)

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.every_wait)

    def longest(self, operation: str | None = None) -> float:
        """Seconds; of one operation, or of all."""
        return max(self.every_wait if operation is None else self.waits[operation])

    def timed(self, operation: str, began: float, rows: int = 0) -> None:
        """Note an operation on some rows that began at that moment (``time.monotonic``) and is over now."""
        took = time.monotonic() - began
        with self._noting:
            self.waits.setdefault(operation, []).append(took)
            self.rows[operation] = self.rows.get(operation, 0) + rows
            if took > self.slowest[1]:
                self.slowest = began, took


class Steps:
    """When the steps of a piece of work began, as it tells them."""

    def __init__(self) -> None:
        self.begun: list[tuple[float, str]] = []

    def tell(self, step: str) -> None:
        """A step begins now."""
        self.begun.append((time.monotonic(), step))

    def at(self, moment: float) -> str:
        """The step of that moment (``time.monotonic``)."""
        return next((step for began, step in reversed(self.begun) if began <= moment), "nothing yet")


@dataclass(frozen=True)
class Operation:
    """One kind of transaction: a statement, and of each of its parameters the numbers that it is chosen from.

    Attributes:
        shared: whether two sessions may choose the same; else each has a share of its own. (Two that move one row to
            another partition are an error of PostgreSQL's.)
    """

    statement: LiteralString | bytes
    ranges: tuple[range, ...] = ()
    shared: bool = True


@dataclass(frozen=True)
class Writers:
    """Sessions without a pause: one operation after the other, each a transaction of its own.

    Attributes:
        operations: by name.
        seed: the same one chooses the same rows.
    """

    dsn: str = field(repr=False)
    operations: Mapping[str, Operation]
    sessions: int = 4
    seed: int = 0

    def work(self, connection: psycopg.Connection, number: int, record: Record, end: threading.Event) -> None:
        """Session ``number`` until the end. A failure is recorded, and the next operation is tried."""
        chosen = random.Random(number * 1_000_003 + self.seed)  # noqa: S311
        while True:
            for name, operation in self.operations.items():
                if end.is_set():
                    return
                shares = operation.ranges
                if not operation.shared:
                    shares = tuple(numbers[number :: self.sessions] for numbers in shares)
                parameters = [chosen.choice(numbers) for numbers in shares]
                began = time.monotonic()
                changed = 0
                try:
                    changed = connection.execute(operation.statement, parameters).rowcount
                except psycopg.Error as error:
                    if connection.closed:
                        raise
                    record.failures.append(f"{name}: {error}")
                record.timed(name, began, changed)


@dataclass(frozen=True)
class Readers:
    """Sessions that read a row, keep their snapshot and their locks for a while, and must read the same row again.

    Attributes:
        table: is locked in ACCESS SHARE with all its partitions before it is read, and only that is timed: a read of
            many partitions takes long by itself.
        query: gives the row.
        hold: seconds between the two reads.
    """

    dsn: str = field(repr=False)
    table: str
    query: LiteralString
    hold: float
    sessions: int = 2

    def work(self, connection: psycopg.Connection, number: int, record: Record, end: threading.Event) -> None:
        """Session ``number`` until the end; they begin one after the other, so that there is always one at it."""
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        lock = sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.Identifier(self.table))
        end.wait(number * self.hold / self.sessions)
        while not end.is_set():
            with connection.transaction():
                began = time.monotonic()
                connection.execute(lock)
                record.timed("long read's lock", began)
                first = connection.execute(self.query).fetchone()
                end.wait(self.hold)
                if connection.execute(self.query).fetchone() != first:
                    record.failures.append("a long read: its snapshot changed")


@contextlib.contextmanager
def beside(*groups: Writers | Readers) -> Generator[Record]:
    """Sessions at work for the block, all of them connected when it begins.

    Gives:
        their record, empty until the block has ended.

    Raises:
        BenchmarkError: they did not connect, or did not end.
    """
    record = Record()
    spawning = multiprocessing.get_context("spawn")  # a fork would share the sessions and threads of this process
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_run, args=(theirs, groups), daemon=True)
    process.start()
    theirs.close()
    try:
        _receive(ours)
        yield record
        ours.send(None)
        record.waits, record.rows, record.slowest, record.failures = _receive(ours)
    finally:
        ours.close()  # without the word to end, this is it
        process.join(PATIENCE)
        process.kill()


def _receive(pipe: Connection) -> Any:
    try:
        if pipe.poll(PATIENCE):
            return pipe.recv()
    except EOFError:
        pass
    raise BenchmarkError("The sessions beside the work did not answer.")


def _run(pipe: Connection, groups: tuple[Writers | Readers, ...]) -> None:
    """The process: its end is a word from the pipe, or the end of whoever holds the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started us
    record, end = Record(), threading.Event()
    connected = threading.Barrier(1 + sum(group.sessions for group in groups))

    def session(group: Writers | Readers, number: int) -> None:
        try:
            with psycopg.connect(group.dsn, autocommit=True) as connection:
                connected.wait(PATIENCE)
                group.work(connection, number, record, end)
        except psycopg.Error as error:
            connected.abort()
            record.failures.append(str(error))
        except threading.BrokenBarrierError:
            pass  # another session did not connect

    threads = [
        threading.Thread(target=session, args=(group, number)) for group in groups for number in range(group.sessions)
    ]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):  # the record says why
        connected.wait(PATIENCE)
    with contextlib.suppress(EOFError, BrokenPipeError):
        pipe.send(({}, {}, (0.0, 0.0), []))
        pipe.recv()
    end.set()
    for thread in threads:
        thread.join()
    with contextlib.suppress(BrokenPipeError):
        pipe.send((record.waits, record.rows, record.slowest, record.failures))
