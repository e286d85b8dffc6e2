"""Splitting filled partitions on real servers: nothing lost or doubled, whoever writes and wherever it is cut off."""

from __future__ import annotations

import datetime as dt
import subprocess
import threading
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from partitioned import Place, killed, make_ledger

from demo.servers import Servers
from demo.servers.binaries import client
from warehouse.catalog.partition import HashPartition
from warehouse.errors import Busy, DrivetrainError
from warehouse.partitions import mirror, swap
from warehouse.partitions import split as splits
from warehouse.partitions.apply import Patience, read_and_plan
from warehouse.partitions.pieces import halves
from warehouse.partitions.split import Progress, abandon, split
from warehouse.partitions.splitting import Splitting, under_way
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import Dsn, connect

QUICK = Patience(lock_timeout=100, attempts=50, pause=0.01)
ROWS = 4000
NOW = dt.datetime(2024, 3, 10, tzinfo=dt.UTC)


@pytest.fixture
def place(place: Place) -> Place:
    make_ledger(place, ROWS)
    return place


TARGET = Target("app", "ledger", "source", HashPartition(hash="rider", modulus=2, name="{table}_p{remainder}"))


def doubling(remainder: int = 0, modulus: int = 2) -> Splitting:
    pieces = halves("ledger", "{table}_p{remainder}", modulus, remainder, modulus * 2)
    return Splitting("public", "ledger", f"ledger_p{remainder}", "rider", tuple(pieces))


def content(place: Place) -> tuple[Any, ...]:
    (row,) = place.rows("SELECT count(*), count(DISTINCT id), sum(amount), sum(hashtext(ledger::text)) FROM ledger")
    return row


def run(place: Place, splitting: Splitting, patience: Patience = QUICK) -> Progress:
    with connect(place.dsn, see_all_rows=True) as connection:
        return split(connection, splitting, patience)


def test_a_hash_grows_one_remainder_at_a_time(place: Place) -> None:
    before = content(place)
    run(place, doubling(0))
    assert content(place) == before
    assert place.partitions("ledger") == ["ledger_p0", "ledger_p1", "ledger_p2"]
    run(place, doubling(1))
    assert content(place) == before
    assert place.partitions("ledger") == ["ledger_p0", "ledger_p1", "ledger_p2", "ledger_p3"]
    assert place.leftovers() == []
    bounds = place.rows("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname ~ '^ledger_p.$' ORDER BY 1")
    assert bounds == [(f"FOR VALUES WITH (modulus 4, remainder {remainder})",) for remainder in range(4)]
    place("INSERT INTO ledger (rider, amount) SELECT i % 100, 1 FROM generate_series(1, 200) AS i")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        place("INSERT INTO ledger (rider, amount) VALUES (1000, 1)")


def test_a_piece_has_what_the_partition_had(place: Place) -> None:
    place("ALTER TABLE ledger_p0 SET (fillfactor = 77)")
    place("GRANT SELECT ON ledger_p0 TO {}", place.app)
    place("ALTER TABLE ledger_p0 ENABLE ROW LEVEL SECURITY")
    place("ALTER TABLE ledger_p0 FORCE ROW LEVEL SECURITY")
    place("CREATE POLICY p ON ledger_p0 USING (amount > 0)")
    with pytest.raises(DrivetrainError, match="row-level security is forced"):
        run(place, doubling(0))
    place("ALTER ROLE {} BYPASSRLS", place.maintainer)
    with connect(place.dsn) as connection:
        before = mirror.read_surroundings(connection, "ledger_p0")
        run(place, doubling(0))
        assert mirror.read_surroundings(connection, "ledger_p0") == before
        assert mirror.read_surroundings(connection, "ledger_p2") == before
    assert before.row_security == "forced"


def test_attaching_looks_at_no_row(place: Place) -> None:
    """Or the parent would be locked for as long as a scan takes."""
    with connect(place.dsn, see_all_rows=True) as connection:
        said: list[str] = []
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        connection.execute("SET client_min_messages = debug1")
        split(connection, doubling(0), QUICK)
    implied = [text for text in said if "is implied by existing constraints" in text]
    assert len(implied) == 2, said
    assert not [text for text in said if "verifying table" in text and "ledger_p" in text]


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


def test_emptying_the_table_meanwhile_empties_the_pieces(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    original = mirror.equal

    def equal(*arguments: Any) -> bool:
        place("TRUNCATE ledger")
        return original(*arguments)

    monkeypatch.setattr(mirror, "equal", equal)
    run(place, doubling(0))
    assert content(place)[0] == 0


STEPS = [
    *((mirror, name) for name in ("make_pieces", "set_up", "copy_batch", "equal", "bind")),
    *((swap, name) for name in ("at_work", "set_aside", "settle", "clear")),
]


@pytest.mark.parametrize("step", STEPS, ids=[name for _, name in STEPS])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_session_killed_at_any_step_is_completed_by_the_next(
    place: Place, step: tuple[Any, str], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(place)
    with monkeypatch.context() as patch:
        patch.setattr(*step, killed(place, getattr(*step), when))
        with pytest.raises(psycopg.OperationalError):
            run(place, doubling(0))
    assert content(place) == before
    place("UPDATE ledger SET note = 'meanwhile' WHERE id <= 100")
    after = content(place)
    run(place, doubling(0))
    assert content(place) == after
    assert place.partitions("ledger") == ["ledger_p0", "ledger_p1", "ledger_p2"]
    assert place.leftovers() == []


def test_a_split_can_be_abandoned_until_the_swap(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(place)
    with monkeypatch.context() as patch:
        patch.setattr(mirror, "equal", lambda *_: False)  # type: ignore[reportUnknownLambdaType]
        with pytest.raises(DrivetrainError, match="still differ"):
            run(place, doubling(0))
    with connect(place.dsn, see_all_rows=True) as connection:
        assert under_way(connection, "public", "ledger") == [doubling(0)]
        ((_, _, actions),) = read_and_plan(connection, [(TARGET, ("public", "ledger"))], NOW)
        assert [action.reason for action in actions if action.partition == "ledger_p0"] == [
            "its split was begun, and has not ended"
        ]
        assert abandon(connection, doubling(0))
        assert not abandon(connection, doubling(0))
    assert (content(place), place.leftovers()) == (before, [])
    assert place.partitions("ledger") == ["ledger_p0", "ledger_p1"]


def test_a_mirror_that_was_disabled_stops_the_swap(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    original = mirror.bind

    def bind(*arguments: Any) -> None:
        original(*arguments)
        place("ALTER TABLE ledger_p0 DISABLE TRIGGER {}", doubling(0).mark)

    with monkeypatch.context() as patch:
        patch.setattr(mirror, "bind", bind)
        with pytest.raises((DrivetrainError, psycopg.Error)):
            run(place, doubling(0), Patience(lock_timeout=100, attempts=2, pause=0.01))
    assert place.partitions("ledger") == ["ledger_p0", "ledger_p1"]


def test_a_lock_that_is_not_to_be_had_is_said_and_nothing_is_lost(place: Place) -> None:
    before = content(place)
    info = place.admin.info
    with psycopg.connect(info.dsn, password=info.password) as reader:
        reader.execute("SELECT count(*) FROM ledger")
        with pytest.raises(Busy, match=r"public\.ledger_p0: no lock in 2 attempts: .*, held by pid \d+"):
            run(place, doubling(0), Patience(lock_timeout=50, attempts=2, pause=0.01))
    run(place, doubling(0))
    assert content(place) == before


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


def test_a_transaction_older_than_the_copying_is_waited_for(place: Place) -> None:
    """It does not see copied rows in the pieces: its mirror would miss them, and after the swap its reads."""
    info = place.admin.info
    with psycopg.connect(info.dsn, password=info.password) as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT count(*) FROM riders")  # takes its snapshot, and touches nothing of the ledger
        with pytest.raises(Busy, match="began before the copying ended"):
            run(place, doubling(0), Patience(lock_timeout=100, attempts=2, pause=0.01))
        assert place.partitions("ledger") == ["ledger_p0", "ledger_p1"]
        old.execute("DELETE FROM ledger WHERE id <= 100")
    after = content(place)
    assert after[0] == ROWS - 100
    assert run(place, doubling(0)).mended > 0
    assert content(place) == after


def test_a_table_without_a_key_is_refused(place: Place) -> None:
    place("CREATE TABLE keyless (rider int, v text) PARTITION BY HASH (rider)")
    place("CREATE TABLE keyless_p0 PARTITION OF keyless FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    place.own("keyless", "keyless_p0")
    pieces = tuple(halves("keyless", "{table}_p{remainder}", 1, 0, 2))
    with pytest.raises(DrivetrainError, match="no primary key"):
        run(place, Splitting("public", "keyless", "keyless_p0", "rider", pieces))


def test_a_database_restored_from_a_dump_of_the_middle_is_written_to_and_completed(
    place: Place, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pieces and their constraints are in the dump; the parent has another OID where it is restored."""

    class Stopped(Exception):
        pass

    def at_work(*_: object) -> bool:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(swap, "at_work", at_work)
        with pytest.raises(Stopped):
            run(place, doubling(0))
    admin = servers.server("operational")
    dumped = subprocess.run(
        [client("pg_dump"), admin.dsn(place.admin.info.dbname)], capture_output=True, check=True, text=True
    ).stdout
    name = f"restored_{uuid.uuid4().hex[:12]}"
    place("CREATE DATABASE {}", name)
    try:
        with psycopg.connect(admin.dsn(name), autocommit=True) as connection:
            connection.execute("CREATE TABLE shifts_every_oid ()")
        subprocess.run(
            [client("psql"), "-q", "-v", "ON_ERROR_STOP=1", admin.dsn(name)],
            input=dumped, capture_output=True, check=True, text=True,
        )  # fmt: skip
        with psycopg.connect(admin.dsn(name), autocommit=True) as connection:
            connection.execute("INSERT INTO ledger (rider, amount) SELECT i % 100, 5 FROM generate_series(1, 300) AS i")
            connection.execute("UPDATE ledger SET note = 'after the restore' WHERE id % 7 = 0")
            connection.execute("DELETE FROM ledger WHERE id % 11 = 0")
            query = "SELECT count(*), sum(hashtext(ledger::text)) FROM ledger"
            before = connection.execute(query).fetchone()
            with connect(Dsn(admin.dsn(name)), see_all_rows=True) as session:
                split(session, doubling(0), QUICK)
            assert connection.execute(query).fetchone() == before
            left = connection.execute("SELECT relname FROM pg_class WHERE relname ~ '^drivetrain_'").fetchall()
            assert left == []
    finally:
        place("DROP DATABASE {} WITH (FORCE)", name)
