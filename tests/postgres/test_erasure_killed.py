"""A whole run of an erasure in a process of its own, killed again and again while others write and load: it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress

import pytest
from officers import Desk

# Fixtures and steps of the same system.
from test_erasure import all_officers, approved, certificate_of, desk, everything, state, to_the_lake  # noqa: F401
from tiering import proven

from resources.settings import PROJECT
from warehouse.errors import TransientError

#: Ends itself after so many statements on any server, or files put into or removed from a store.
RUN = """
import os, signal, sys
import psycopg
from resources import absence, erasure
from resources.settings import Settings
from warehouse.lake.store import Store
absence.ensure_manifest, absence.models_of = lambda _: None, lambda *_: {}
left = int(sys.argv[2])
def counted(original):
    def call(*arguments, **options):
        global left
        answer = original(*arguments, **options)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return call
psycopg.Cursor.execute = counted(psycopg.Cursor.execute)
Store.put, Store.remove = counted(Store.put), counted(Store.remove)
erasure.run(Settings.load(), int(sys.argv[1]), rebuild=lambda _: {})
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_again_and_again_among_writers(desk: Desk) -> None:  # noqa: F811
    """Later each time, so that each part is cut off; meanwhile an application writes, and tables are loaded."""
    bench, lake = desk.bench, to_the_lake(desk)
    number, before = approved(desk), everything(desk.bench)
    stop = threading.Event()

    def write() -> None:
        message = 1_000
        while not stop.wait(0.2):
            message += 1
            bench.source(f"INSERT INTO messages VALUES ({message}, 5, 6, 'hello')")
            for table in ("messages", "riders", "facts"):
                with suppress(TransientError):
                    bench.ingest(table)

    writer = threading.Thread(target=write)
    writer.start()
    killed, statements = 0, 15
    try:
        while state(desk, number) != "completed_with_retention":
            done = subprocess.run(
                [sys.executable, "-c", RUN, str(number), str(statements)],
                cwd=PROJECT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            was_killed = done.returncode == -signal.SIGKILL
            assert was_killed or done.returncode == 0 or "Busy" in done.stderr, done.stderr
            killed, statements = killed + was_killed, int(statements * 1.25) + 1 if was_killed else statements
            assert statements < 100_000
    finally:
        stop.set()
        writer.join()
    assert killed > 10
    for table in bench.tables:
        bench.ingest(table)
    after = everything(bench)
    for place, rows in before.items():
        lost = rows - after[place]
        assert all("3" in str(row) for row in lost), place
    hers = Counter({place: (rows - after[place]).total() for place, rows in before.items()})
    assert hers["riders source"] == hers["riders warehouse"] == 1 and hers["work source"] == hers["work warehouse"] == 2
    assert bench.warehouse("SELECT count(*) FROM {raw}.facts WHERE who = 3") == [(0,)]
    certificate = certificate_of(desk, number)
    assert certificate.outcome == "completed_with_retention"
    for store in certificate.stores:
        assert store.expected == store.actual or store.why, store
    assert proven(bench, lake) == []
    assert desk("auditor", "audit", "verify", "--json")["holds"]
