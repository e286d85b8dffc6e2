"""A clock that jumps, and two movers at once among writers: no row is lost, doubled, or dropped before its proof."""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections import Counter

import psycopg
import pytest
from ingesting import Bench
from tiering import AT, LATER, NO_HOT, TIERS, Row, everywhere, move, moved, plan, proven, source_rows, tier

from warehouse.errors import Busy, DrivetrainError, SourceInterrupted
from warehouse.lake.store import Store

pytestmark = pytest.mark.slow

KEPT = dt.timedelta(days=7)
FAR = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def of(bench: Bench, lake: Store) -> Counter[Row]:
    """Every row, once: what left the source is below it, and what has not is there."""
    return source_rows(bench) | everywhere(bench, lake)


def test_a_clock_far_ahead_and_back(facts: Bench, lake: Store) -> None:
    """Months leave too early, and what moved is kept until the wrong clock says; no row is lost by either."""
    tier(facts, TIERS)
    facts.ingest("facts")
    due = source_rows(facts)
    assert {done.step.kind for done in move(facts, lake, FAR, KEPT)} == {"leave"}
    assert of(facts, lake) == due
    assert plan(facts, lake, AT) == [("keep", f"2024-0{month}") for month in (1, 2, 3)]
    facts.source("INSERT INTO facts VALUES (9001, '2024-03-19+00', 'of a month that is not due')")
    due["9001", "2024-03-19 00:00:00.000000", "of a month that is not due"] += 1
    assert of(facts, lake) == due
    assert proven(facts, lake) == []
    assert plan(facts, lake, FAR)[:1] == [("keep", "2024-01")]  # a grace is counted from the moment of the move
    moved(facts, lake, FAR + KEPT)
    assert everywhere(facts, lake) == due
    assert proven(facts, lake) == []


def test_a_clock_far_back(facts: Bench, lake: Store) -> None:
    """Nothing is due; what was moved is kept for longer."""
    tier(facts, NO_HOT)
    facts.ingest("facts")
    due = source_rows(facts)
    move(facts, lake, LATER, KEPT)
    assert plan(facts, lake, LONG_AGO) == [("keep", f"2024-0{month}") for month in (1, 2, 3)]
    assert move(facts, lake, LONG_AGO, KEPT) == []
    assert everywhere(facts, lake) == due
    assert proven(facts, lake) == []


def test_a_clock_that_ends_every_grace_drops_nothing_unproven(facts: Bench, lake: Store) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    due = source_rows(facts)
    move(facts, lake, LATER, KEPT)
    root = lake.under(facts.name, "facts")
    contents = {each.path: root.get(each.path) for each in root.list("month=2024-02")}
    for path in contents:
        root.remove(path)
    refused = [done for done in move(facts, lake, FAR, KEPT) if done.failure]
    assert [(done.step.kind, f"{done.step.month:%Y-%m}") for done in refused] == [("drop", "2024-02")]
    for path, content in contents.items():
        root.put(path, content)
    moved(facts, lake, FAR)
    assert everywhere(facts, lake) == due
    assert proven(facts, lake) == []


class Writer(threading.Thread):
    """Inserts, updates and deletes rows of all months at the source, and knows what there should be.

    An update or delete that finds no row (its month has left) changes nothing; an insert always comes through.
    """

    def __init__(self, bench: Bench, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.bench, self.number, self.stop = bench, number, stop
        self.random = random.Random(number)
        self.rows = {row[0]: row for row in source_rows(bench) if int(row[0]) % 2 == number}
        self.done, self.error = 0, ""

    def run(self) -> None:
        try:
            with psycopg.connect(self.bench.pair.source_admin, autocommit=True) as connection:
                connection.execute(f"SET search_path = {self.bench.name}")
                while not self.stop.is_set():
                    self.write(connection)
                    self.done += 1
                    time.sleep(0.01)
        except Exception as error:
            self.error = repr(error)

    def write(self, connection: psycopg.Connection) -> None:
        kind = self.random.choice(["insert", "insert", "update", "delete"])
        if kind == "insert":
            identifier = str(10_000 + self.done * 2 + self.number)
            at = dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=self.random.randrange(90 * 24 * 60))
            connection.execute("INSERT INTO facts VALUES (%s, %s, 'new')", (identifier, at))
            self.rows[identifier] = (identifier, f"{at:%Y-%m-%d %H:%M:%S.%f}", "new")
            return
        row = self.rows[self.random.choice(sorted(self.rows))]
        key = (row[0], f"{row[1]}+00")
        if kind == "delete":
            if connection.execute("DELETE FROM facts WHERE id = %s AND at = %s", key).rowcount:
                del self.rows[row[0]]
        elif connection.execute(f"UPDATE facts SET v = 'changed {self.done}' WHERE id = %s AND at = %s", key).rowcount:
            self.rows[row[0]] = (row[0], row[1], f"changed {self.done}")


@pytest.mark.timeout(900)
def test_two_movers_among_writers(facts: Bench, lake: Store) -> None:
    """Of two movers one works and the other says so; writers are never refused, and every change of theirs is there."""
    tier(facts, TIERS)
    facts.ingest("facts")
    stop = threading.Event()
    writers = [Writer(facts, number, stop) for number in range(2)]
    for writer in writers:
        writer.start()
    said: list[DrivetrainError] = []
    ends = time.monotonic() + 40

    def mover() -> None:
        while time.monotonic() < ends:
            try:
                said.extend(done.failure for done in move(facts, lake, LATER) if done.failure)
            except DrivetrainError as error:
                said.append(error)
                time.sleep(0.05)

    movers = [threading.Thread(target=mover, daemon=True) for _ in range(2)]
    for each in movers:
        each.start()
    while time.monotonic() < ends:
        try:
            facts.ingest("facts")
        except (Busy, SourceInterrupted) as error:  # a month was put in place after its snapshot: nothing was kept
            said.append(error)
        time.sleep(0.5)
    for each in movers:
        each.join()
    stop.set()
    for writer in writers:
        writer.join()
    assert [writer.error for writer in writers] == ["", ""]
    assert [each for each in said if not each.transient] == []
    assert any("another move of it is running" in each.message for each in said)
    assert sum(writer.done for writer in writers) > 500
    moved(facts, lake, LATER)
    assert everywhere(facts, lake) == Counter(row for writer in writers for row in writer.rows.values())
    assert facts.source("SELECT count(*) FROM facts") == [(0,)]
    assert proven(facts, lake) == []
