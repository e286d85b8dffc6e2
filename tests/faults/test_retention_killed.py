"""Retention killed at any point: what is young or held stays, and the next run takes the rest."""

from __future__ import annotations

import itertools
from collections import Counter

import psycopg
import pytest
from aging import AT, LATER, declare, young
from ingesting import PARTITIONED, Bench
from test_tiers_killed import Killed, after
from tiering import NO_HOT, TIERS, everywhere, moved, places, proven, source_rows

from warehouse.errors import DrivetrainError
from warehouse.lake.store import Store
from warehouse.retention.apply import expire_table, look


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kind", ["moved", "kept", "untiered"])
def test_killed_after_each_step(kind: str, bench: Bench, lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each statement on either server, each file put or removed, and each commit of the lake's table."""
    whole = lake
    for last in itertools.count(1):
        lake = whole.under(str(last))
        bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
        declare(bench, {"moved": TIERS, "kept": NO_HOT, "untiered": None}[kind])
        bench.ingest("facts")
        due = young(source_rows(bench))
        if kind != "untiered":
            moved(bench, lake, LATER)
        ended = False
        with monkeypatch.context() as patch:
            after(patch, last)
            try:
                done = expire_table(places(bench, lake), bench.system, "facts", AT)
                ended = not any(each.failure for each in done)
            except (Killed, DrivetrainError, psycopg.Error):
                pass
        bench.ingest("facts")
        for _ in range(2):  # one ends what was begun; a partition that was about to be dropped goes with the next
            done = expire_table(places(bench, lake), bench.system, "facts", AT)
            assert [str(each.failure) for each in done if each.failure] == [], last
        assert everywhere(bench, lake) == due, last
        assert source_rows(bench) == (Counter() if kind == "moved" else due), last
        assert look(places(bench, lake), bench.system, "facts", AT) == [], last
        assert bench.ingest("facts").rows_written == 0, last
        assert proven(bench, lake) == [], last
        begun = f"SELECT count(*) FROM platform.expiry WHERE system = '{bench.name}' AND state <> 'done'"
        assert bench.warehouse(begun) == [(0,)], last
        forget(bench)
        if ended:
            assert last > 15
            break


def forget(bench: Bench) -> None:
    """As if the system had never been."""
    bench.source("DROP TABLE facts")
    bench.warehouse("DROP SCHEMA {raw} CASCADE")
    for table in ("tier_event", "lake_file", "tier_move", "expiry"):
        bench.warehouse(f"ALTER TABLE platform.{table} DISABLE TRIGGER USER; DELETE FROM platform.{table}")
        bench.warehouse(f"ALTER TABLE platform.{table} ENABLE TRIGGER USER")
    bench.warehouse(f"DELETE FROM platform.raw_content WHERE system = '{bench.name}'")
