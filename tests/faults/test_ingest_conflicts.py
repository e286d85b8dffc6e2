"""Ingestion while servers die, sessions are ended, replicas fail and others ingest at the same time.

After each: what was there is still there, the error says whether to try again, and the next run brings both sides
together.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from ingesting import Bench, execute, reasons, with_parameters

from demo.servers import process
from warehouse.errors import Busy, DrivetrainError, SourceInterrupted, TransientError
from warehouse.ingest import apply
from warehouse.state.raw_store import RawTable

MODES = ["full", "incremental", "partition"]
APPLICATION = "drivetrain ingest"


def make(bench: Bench, mode: str, rows: int = 3000, width: int = 200) -> None:
    bench.source("CREATE TABLE t (id int, v text, at timestamptz NOT NULL, PRIMARY KEY (id, at))")
    bench.source(f"INSERT INTO t SELECT i, repeat('x', {width}), '2024-01-20+00' FROM generate_series(1, {rows}) i")
    cursor = {"cursor": "at"} if mode == "incremental" else {}
    bench.declare("t", key=("id", "at"), time="at", ingest={"mode": mode, **cursor})


def change(bench: Bench) -> None:
    bench.source("DELETE FROM t WHERE id <= 100; UPDATE t SET v = translate(v, 'x', 'y'), at = at + interval '1 day'")


def backends(dsn: str, application: str = APPLICATION) -> list[int]:
    query = (
        f"SELECT pid FROM pg_stat_activity WHERE application_name = '{application}' AND datname = current_database()"
    )
    return [int(pid) for (pid,) in execute(dsn, query)]


class Interrupter:
    """Does something once, when the third block of a COPY is on its way."""

    def __init__(self) -> None:
        self.call: Callable[[], object] | None = None
        self.blocks = 0

    def block(self) -> None:
        if self.call is not None:
            self.blocks += 1
            if self.blocks == 3:
                self.call()


@pytest.fixture
def interrupter(monkeypatch: pytest.MonkeyPatch) -> Interrupter:
    found, original = Interrupter(), psycopg.Copy.write

    def write(copy: psycopg.Copy, block: bytes) -> None:
        found.block()
        original(copy, block)

    monkeypatch.setattr(psycopg.Copy, "write", write)
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", ["source", "warehouse"])
def test_a_session_that_is_ended_in_the_middle_of_a_copy(
    bench: Bench, interrupter: Interrupter, mode: str, side: str
) -> None:
    make(bench, mode, width=4000)  # more than what is buffered on the way: the end comes before all rows have
    bench.ingest("t")
    before = bench.state("t")
    change(bench)
    dsn = bench.pair.source_admin if side == "source" else bench.pair.warehouse_admin
    interrupter.call = lambda: [execute(dsn, f"SELECT pg_terminate_backend({pid}, 5000)") for pid in backends(dsn)]
    with pytest.raises(TransientError):
        bench.ingest("t")
    assert interrupter.blocks >= 3
    assert bench.state("t") == before
    interrupter.call = None
    bench.ingest("t")
    assert bench.assert_equal("t") == 2900
    assert not bench.leftovers()


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_warehouse_that_crashes_in_the_middle_of_a_copy(bench: Bench, interrupter: Interrupter, mode: str) -> None:
    """A backend that is killed takes the whole server through crash recovery, and every session with it."""
    make(bench, mode)
    bench.ingest("t")
    before = bench.state("t")
    change(bench)
    interrupter.call = lambda: [os.kill(pid, signal.SIGKILL) for pid in backends(bench.pair.warehouse_admin)]
    with pytest.raises(TransientError):
        bench.ingest("t")
    interrupter.call = None
    assert process.wait_until(lambda: _answers(bench.pair.warehouse_admin), 30)
    with pytest.raises(psycopg.OperationalError):
        bench.warehouse("SELECT 1")
    bench.reconnect()
    assert bench.state("t") == before
    bench.ingest("t")
    assert bench.assert_equal("t") == 2900
    assert not bench.leftovers()


def _answers(dsn: str) -> bool:
    try:
        return bool(execute(dsn, "SELECT 1"))
    except psycopg.OperationalError:
        return False


def test_the_snapshots_holder_is_ended(bench: Bench) -> None:
    make(bench, "full", rows=10)
    with bench.snapshot() as snapshot:
        for pid in backends(bench.pair.source_admin, "drivetrain snapshot"):
            execute(bench.pair.source_admin, f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(SourceInterrupted, match=r"snapshot .* is gone"):
            bench.ingest("t", snapshot=snapshot)
    assert bench.relations() == {}


@pytest.mark.parametrize(
    ("setting", "fails"), [("statement_timeout", True), ("idle_in_transaction_session_timeout", False)]
)
def test_limits_that_the_source_sets_on_the_role(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, setting: str, fails: bool
) -> None:
    make(bench, "full", rows=40000)
    primary = with_parameters(bench.pair.primary, options=f"-c {setting}=15")
    original = RawTable.finish_child
    monkeypatch.setattr(RawTable, "finish_child", lambda raw, month=None: (time.sleep(0.2), original(raw, month))[1])
    if fails:
        with pytest.raises(SourceInterrupted, match="statement timeout"):
            bench.ingest("t", primary=primary)
        assert bench.loads("t") == []
    else:
        make_second(bench)
        with bench.snapshot(primary=primary) as snapshot:
            bench.ingest("t", snapshot=snapshot)
            time.sleep(0.1)
            bench.ingest("second", snapshot=snapshot)
        assert bench.assert_equal("t") == 40000


def make_second(bench: Bench) -> None:
    bench.source("CREATE TABLE second (id int PRIMARY KEY); INSERT INTO second VALUES (1)")
    bench.declare("second", key=["id"])


def test_a_source_table_under_a_lock_is_not_waited_for_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.ingest.snapshot.LOCK_TIMEOUT", "300ms")
    make(bench, "full", rows=10)
    with psycopg.connect(bench.pair.source_admin) as migration:
        migration.execute(f"LOCK TABLE {bench.name}.t IN ACCESS EXCLUSIVE MODE".encode())
        with pytest.raises(Busy, match=r"\.t \(source\)"):
            bench.ingest("t")
    bench.ingest("t")
    assert bench.assert_equal("t") == 10


# --- replica ----------------------------------------------------------------------------------------------------


def read_from_replica(bench: Bench) -> list[bool]:
    query = f"SELECT read_from_replica FROM platform.reconciliation WHERE system = '{bench.name}' ORDER BY id"
    return [row[0] for row in bench.warehouse(query)]


def test_the_replica_is_read_and_a_dead_one_passed_over(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    make(bench, "full", rows=10)
    bench.pair.servers.wait_for_replica()
    with bench.snapshot(replica=bench.pair.replica) as snapshot:
        assert (snapshot.replica, snapshot.lag_seconds) == (True, 0)
        bench.ingest("t", snapshot=snapshot)
    dead = with_parameters(bench.pair.replica, port="1")
    bench.source("INSERT INTO t VALUES (11, 'x', now())")
    with bench.snapshot(replica=dead) as snapshot:
        assert (snapshot.replica, snapshot.lag_seconds) == (False, None)
        bench.ingest("t", snapshot=snapshot)
    assert read_from_replica(bench) == [True, False]
    assert bench.assert_equal("t") == 11
    assert "reading the primary instead" in caplog.text
    assert str(dead.parameters["password"]) not in caplog.text


def test_a_replica_that_refuses_is_an_error(bench: Bench) -> None:
    """A wrong password is no outage: hidden, the replica would never be read again."""
    make(bench, "full", rows=10)
    with (
        pytest.raises(DrivetrainError, match="REPLICA"),
        bench.snapshot(replica=with_parameters(bench.pair.replica, password="wrong")),
    ):
        pass


def test_a_replica_that_is_cut_off_tells_its_lag(bench: Bench) -> None:
    """All that it received is replayed, and nothing arrives any more: that is not up to date."""
    replica = bench.pair.servers.server("replica").dsn("postgres")
    conninfo = execute(replica, "SHOW primary_conninfo")[0][0]
    bench.source("CREATE TABLE t (id int)")
    bench.pair.servers.wait_for_replica()
    execute(replica, "ALTER SYSTEM SET primary_conninfo = ''")
    try:
        execute(replica, "SELECT pg_reload_conf()")
        assert process.wait_until(lambda: not execute(replica, "SELECT FROM pg_stat_wal_receiver"), 20)
        time.sleep(0.3)
        with bench.snapshot(replica=bench.pair.replica) as snapshot:
            assert snapshot.lag_seconds is not None
            assert snapshot.lag_seconds >= 0.3
    finally:
        execute(replica, "ALTER SYSTEM RESET primary_conninfo")
        execute(replica, "SELECT pg_reload_conf()")
        bench.pair.servers.wait_for_replica()
        assert execute(replica, "SHOW primary_conninfo")[0][0] == conninfo


def test_a_recovery_conflict_on_the_replica(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    make(bench, "full")
    bench.ingest("t")
    before = bench.state("t")
    bench.source("UPDATE t SET v = 'z'")
    replica = bench.pair.servers.server("replica").dsn("postgres")
    execute(replica, "ALTER SYSTEM SET max_standby_streaming_delay = '100ms'")
    execute(replica, "SELECT pg_reload_conf()")
    original = RawTable.ensure

    def ensure(raw: RawTable) -> None:
        bench.source("ALTER TABLE t ADD extra int")
        bench.pair.servers.wait_for_replica()  # its replay has ended whoever held the table
        original(raw)

    try:
        bench.pair.servers.wait_for_replica()
        with monkeypatch.context() as patch:
            patch.setattr(RawTable, "ensure", ensure)
            with bench.snapshot(replica=bench.pair.replica) as snapshot, pytest.raises(TransientError):
                bench.ingest("t", snapshot=snapshot)
        assert bench.state("t") == before
        with bench.snapshot(replica=bench.pair.replica) as snapshot:
            bench.ingest("t", snapshot=snapshot)
        assert bench.assert_equal("t") == 3000
    finally:
        execute(replica, "ALTER SYSTEM RESET max_standby_streaming_delay")
        execute(replica, "SELECT pg_reload_conf()")


# --- others at the same time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_second_ingestion_of_a_table_is_busy(bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """From its comparison on: what a load decided must still be true when it loads."""
    make(bench, mode)
    bench.ingest("t")
    change(bench)
    started, go_on, original = threading.Event(), threading.Event(), apply.plan_table

    def plan(*arguments: object) -> object:
        started.set()
        assert go_on.wait(20)
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(apply, "plan_table", plan)
    first: list[object] = []
    thread = threading.Thread(target=lambda: first.append(bench.ingest("t")))
    thread.start()
    assert started.wait(20)
    bench.source("DELETE FROM t WHERE id = 2000")
    with pytest.raises(Busy, match="another ingestion"):
        bench.ingest("t")
    go_on.set()
    thread.join(20)
    assert first
    bench.ingest("t")
    assert bench.assert_equal("t") == 2899


def test_many_tables_of_a_new_system_at_once(bench: Bench) -> None:
    """They share the schema and the enum types, which the first to come makes."""
    bench.source("CREATE TYPE a AS ENUM ('x'); CREATE TYPE b AS ENUM ('y', 'z')")
    names = [f"t_{number}" for number in range(8)]
    for name in names:
        bench.source(
            f"CREATE TABLE {name} (id int PRIMARY KEY, a a, b b[]); INSERT INTO {name} VALUES (1, 'x', '{{z}}')"
        )
        bench.declare(name, key=["id"])
    for turn in range(3):
        errors: list[BaseException] = []
        barrier = threading.Barrier(len(names))

        def load(name: str, errors: list[BaseException] = errors, barrier: threading.Barrier = barrier) -> None:
            try:
                barrier.wait(20)
                bench.ingest(name)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=load, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not errors
        for name in names:
            bench.assert_equal(name)
        bench.source(f"ALTER TYPE a ADD VALUE 'new{turn}' BEFORE 'x'")
        for name in names:
            bench.source(f"INSERT INTO {name} VALUES ({turn + 2}, 'new{turn}', NULL)")


# --- a stream that ends too early ---------------------------------------------------------------------------------


def test_postgresql_takes_a_truncated_binary_copy_for_whole_and_we_do_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(bench, "full")
    bench.ingest("t")
    before = bench.state("t")
    change(bench)
    original = psycopg.Copy.__iter__

    def truncated(copy: psycopg.Copy) -> Iterator[bytes]:
        for number, block in enumerate(original(copy)):
            if number < 1000:
                yield bytes(block)

    monkeypatch.setattr(psycopg.Copy, "__iter__", truncated)
    with pytest.raises(SourceInterrupted, match="the source sent 2900 rows and 1000 arrived"):
        bench.ingest("t")
    monkeypatch.undo()
    assert bench.state("t") == before
    assert reasons(bench.ingest("t")) == {"whole": "source changed"}
