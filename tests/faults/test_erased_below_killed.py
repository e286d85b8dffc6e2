"""Erasure below the source killed at any point: the next run of the same ends it, and no row of others is touched."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter

import psycopg
import pytest
from ingesting import PARTITIONED, Bench
from test_retention_killed import forget
from test_tiers_killed import Killed, after
from tiering import AT, LATER, NO_HOT, ONLY_JANUARY, TIERS, everywhere, move, moved, places, proven

from warehouse.erasure.below import erase_below
from warehouse.erasure.replacing import Replacement
from warehouse.errors import DrivetrainError
from warehouse.lake.store import Store

FOREVER = dt.timedelta(days=9999)
ABOUT = {"who": {"3", "4"}}


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    ("kind", "lake"), [("deleted", "file"), ("pseudonymised", "file"), ("one month", "s3")], indirect=["lake"]
)
def test_killed_after_each_step(kind: str, bench: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each statement on either server, each file put or removed, and each commit of the lake's table."""
    whole = lake
    replacement = Replacement({"who": ("who", "v")}, {"3": "-3", "4": "-4"}) if kind == "pseudonymised" else None
    for last in itertools.count(1):
        lake = whole.under(str(last))
        bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
        bench.source("ALTER TABLE facts ADD who bigint; UPDATE facts SET who = id % 10")
        bench.source("CREATE TABLE IF NOT EXISTS riders (id bigint PRIMARY KEY, email text)")
        bench.declare("riders", key=("id",), subjects=["id"], erasure="delete")
        bench.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
        policy = {"partition": {"range": "at", "name": "{table}_y{year}m{month}"}, "subjects": ["who"]}
        bench.monthly("facts", tiers=NO_HOT if kind == "one month" else TIERS, erasure="delete", **policy)
        bench.ingest("facts")
        if kind == "one month":
            moved(bench, lake, ONLY_JANUARY)
        else:  # January is in the lake, and kept; the others left, and are kept at the source
            moved(bench, lake, AT)
            move(bench, lake, LATER, keep=FOREVER)
        theirs = {row: n for row, n in everywhere(bench, lake).items() if int(row[0]) % 10 in (3, 4)}
        due = everywhere(bench, lake) - Counter(theirs)
        if replacement is not None:
            due.update((number, at, None) for number, at, _ in theirs)  # type: ignore[misc]
        bench.source("DELETE FROM facts WHERE who IN (3, 4)")  # the source's own step, by another session
        ended = False
        with monkeypatch.context() as patch:
            after(patch, last)
            try:
                erase_below(places(bench, lake), bench.system, "facts", ABOUT, "batch", replacement)
                ended = True
            except (Killed, DrivetrainError, psycopg.Error):
                pass
        assert {found for found, _ in proven(bench, lake)} <= {"unfinished", "altered", "resurrected"}, last
        erase_below(places(bench, lake), bench.system, "facts", ABOUT, "batch", replacement)
        assert everywhere(bench, lake) == due, last
        assert proven(bench, lake) == [], last
        assert erase_below(places(bench, lake), bench.system, "facts", ABOUT, "batch", replacement) == [], last
        left = "SELECT relname FROM pg_class WHERE relname ~ '^(erased|back)_[0-9]+$'"
        assert bench.warehouse(left) == [], last
        assert bench.warehouse("SELECT count(*) FROM platform.erased WHERE state <> 'done'") == [(0,)], last
        assert bench.ingest("facts").rows_written == 0, last
        moved(bench, lake, LATER + FOREVER)
        assert everywhere(bench, lake) == due, last
        assert proven(bench, lake) == [], last
        bench.warehouse("ALTER TABLE platform.erased DISABLE TRIGGER USER; DELETE FROM platform.erased")
        bench.warehouse("ALTER TABLE platform.erased ENABLE TRIGGER USER")
        forget(bench)
        if ended:
            assert last > 15
            break
