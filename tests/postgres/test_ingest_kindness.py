"""What a source is spared: a replica that lags is passed over, a primary that suffers is not read, none for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from ingesting import Bench

from warehouse.catalog.model import Reading
from warehouse.errors import Busy, SourceInterrupted
from warehouse.ingest import burden, open_snapshot
from warehouse.ingest.burden import wait_for_relief
from warehouse.postgres.sessions import Dsn, translated


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burden, "PATIENCE", 0.0)


def reading(**policy: object) -> Reading:
    return Reading.model_validate(policy)


@pytest.fixture
def paused(bench: Bench) -> Iterator[Bench]:
    """A replica that does not replay what its primary wrote a moment ago."""
    dsn = bench.pair.servers.server("replica").dsn(bench.pair.source)
    with psycopg.connect(dsn, autocommit=True) as replica:
        bench.source("CREATE TABLE t (id int PRIMARY KEY)")
        ((there,),) = bench.source("SELECT pg_current_wal_lsn()::text")
        while replica.execute("SELECT pg_last_wal_replay_lsn() < %s::pg_lsn", (there,)).fetchone() == (True,):
            time.sleep(0.02)
        replica.execute("SELECT pg_wal_replay_pause()")
        while replica.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
            time.sleep(0.02)
        try:
            bench.source("INSERT INTO t VALUES (1)")
            while replica.execute("SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()").fetchone() != (True,):
                time.sleep(0.02)
            yield bench
        finally:
            replica.execute("SELECT pg_wal_replay_resume()")


def test_a_replica_that_is_too_far_behind_is_passed_over(paused: Bench) -> None:
    primary, replica = paused.pair.primary, paused.pair.replica
    for allowed, read in (("1 hour", True), ("0 minutes", False)):
        with open_snapshot(primary, replica, reading(replica_lag=allowed)) as snapshot:
            assert snapshot.replica is read


def test_nothing_is_read_beside_a_long_transaction(bench: Bench, impatient: None) -> None:
    policy = reading(transaction="0 minutes")
    with psycopg.connect(bench.pair.source_admin, application_name="somebody") as other:
        other.execute("SELECT 1")
        with pytest.raises(Busy, match=r"a transaction is open for 0 minutes \(reading.transaction: 0 minutes\)"):
            wait_for_relief(bench.pair.primary, policy)
        wait_for_relief(bench.pair.primary, reading())
    wait_for_relief(bench.pair.primary, reading())


def test_it_is_read_when_that_has_ended(bench: Bench) -> None:
    other = psycopg.connect(bench.pair.source_admin, application_name="somebody")
    other.execute("SELECT 1")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        other.close()
        time.sleep(0.1)  # for the server to notice

    wait_for_relief(bench.pair.primary, reading(transaction="0 minutes"), sleep)
    assert slept


def test_nothing_is_read_while_a_slot_keeps_too_much_log(bench: Bench, impatient: None) -> None:
    bench.source("SELECT pg_create_physical_replication_slot('unread', true)")
    try:
        bench.source("CREATE TABLE t AS SELECT repeat('x', 1000) AS v FROM generate_series(1, 4000)")
        with pytest.raises(Busy, match="a slot makes it keep"):
            wait_for_relief(bench.pair.primary, reading(retained_mb=1))
    finally:
        bench.source("SELECT pg_drop_replication_slot('unread')")


def test_a_primary_that_is_away_has_nothing_to_bear(bench: Bench) -> None:
    wait_for_relief(Dsn(bench.pair.primary.text.replace("@", "@127.0.0.9", 1), "AWAY"), reading())


def test_no_moment_is_read_for_longer_than_it_may(bench: Bench) -> None:
    with open_snapshot(bench.pair.primary, None, reading(snapshot="1 hour")) as snapshot:
        assert snapshot.bound_seconds == 3600
        with (
            pytest.raises(SourceInterrupted, match="statement timeout"),
            replace(snapshot, bound_seconds=0.2).session() as session,
            translated("t (source)"),
        ):
            session.execute("SELECT pg_sleep(3)")
