"""Splitting filled partitions on real servers: nothing lost or doubled, whoever writes and wherever it is cut off."""

from __future__ import annotations

import datetime as dt
import subprocess
import uuid
from typing import Any

import psycopg
import pytest
from partitioned import Place, killed, make_ledger
from splitting import QUICK, ROWS, content, doubling, run

from demo.servers import Servers
from demo.servers.binaries import client
from warehouse.catalog.partition import HashPartition
from warehouse.errors import Busy, DrivetrainError
from warehouse.partitions import mirror, swap
from warehouse.partitions.apply import Patience, read_and_plan
from warehouse.partitions.pieces import halves
from warehouse.partitions.split import abandon, split
from warehouse.partitions.splitting import Splitting, under_way
from warehouse.partitions.targets import Target
from warehouse.postgres.sessions import Dsn, connect

NOW = dt.datetime(2024, 3, 10, tzinfo=dt.UTC)


@pytest.fixture
def place(place: Place) -> Place:
    make_ledger(place, ROWS)
    return place


TARGET = Target("app", "ledger", "source", HashPartition(hash="rider", modulus=2, name="{table}_p{remainder}"))


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
