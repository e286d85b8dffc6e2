"""The embedded servers under ``kill -9`` and Ctrl-C: of a server, of its owner, of `up` at any step.

What does not belong here: servers that nobody kills (``tests/postgres/test_servers.py``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from demo.servers import SYSTEMS, Servers, process

QUICK = {"fsync": "off"}  # a killed process loses nothing that it gave to the operating system
ROOT = Path(__file__).parents[2]
NAMES = ("operational", "warehouse", "replica")


@contextmanager
def home_folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="drivetrain-servers-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        try:
            yield home
        finally:
            Servers(home).destroy()
            assert eventually(lambda: not processes_of(home)), processes_of(home)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that was never used."""
    with home_folder() as home:
        yield home


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    with home_folder() as home:
        Servers(home, QUICK).up(owned=False)
        yield home


@pytest.fixture
def made(made_home: Path) -> Path:
    """A home with three stopped servers; made once, since that takes seconds."""
    Servers(made_home).down()
    return made_home


def python(home: Path, script: str) -> subprocess.Popen[str]:
    """A process of its own that has `servers` and may print; it is killed as its test likes."""
    head = f"""
    import os, signal, sys, threading, time
    from pathlib import Path
    from demo.servers import Servers, cluster, process, roles
    servers = Servers(Path({str(home)!r}), {QUICK!r})
    def die(): os.kill(os.getpid(), signal.SIGKILL)
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(script)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(home: Path) -> list[list[str]]:
    """Everything that runs with something of this home in its command line, ourselves excluded."""
    commands = (process.command_line(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdigit())
    return [command for command in commands if str(home) in " ".join(command) and "-c" not in command]


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    return process.wait_until(condition, seconds)


def ask(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def assert_complete(servers: Servers) -> None:
    """Three servers with everything that `up` promises, and no half-made thing beside them."""
    for name in NAMES:
        server = servers.server(name)
        assert server.running
        assert sorted(path.name for path in server.data_directory.parent.glob("data*")) == ["data"]
    for system in SYSTEMS:
        assert ask(servers.system_dsn(system), "SHOW transaction_read_only") == [("on",)]
    for dsn in (servers.warehouse_dsn(), servers.dagster_dsn()):
        ask(dsn, "CREATE TABLE probe (id int); DROP TABLE probe")
    servers.wait_for_replica(20)
    assert ask(servers.replica_dsn("shop"), "SELECT pg_is_in_recovery()") == [(True,)]


def test_committed_rows_survive_the_kill_of_every_server(made: Path) -> None:
    servers = Servers(made, QUICK)
    servers.up(owned=True)
    admin = servers.system_admin_dsn("logistics")
    ask(admin, "CREATE TABLE deliveries AS SELECT generate_series(1, 1000) AS id")
    ask(servers.warehouse_dsn(), "CREATE TABLE loaded AS SELECT 7 AS id")

    # A backend that is busy does not notice that its postmaster is gone, and holds its shared memory.
    busy = threading.Thread(target=_busy, args=(admin,))
    busy.start()
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT sum%' AND state = 'active'"
    assert eventually(lambda: ask(admin, running) == [(1,)])
    for name in NAMES:
        os.kill(servers.server(name).pid or 0, signal.SIGKILL)
    assert eventually(lambda: not any(servers.server(name).running for name in NAMES))
    servers.up(owned=True)
    busy.join(20)
    assert not busy.is_alive()

    assert_complete(servers)
    assert ask(servers.system_dsn("logistics"), "SELECT count(*) FROM deliveries") == [(1000,)]
    assert ask(servers.replica_dsn("logistics"), "SELECT count(*) FROM deliveries") == [(1000,)]
    assert ask(servers.warehouse_dsn(), "SELECT id FROM loaded") == [(7,)]


def _busy(dsn: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        ask(dsn, "SELECT sum(a.i * b.i) FROM generate_series(1, 100000) a(i), generate_series(1, 100000) b(i)")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the servers of a killed owner on Linux only")
def test_a_killed_owner_leaves_no_server_behind(made: Path) -> None:
    owner = python(made, "with servers.running(): print('up', flush=True); time.sleep(600)")
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    assert len(processes_of(made)) == 3
    owner.kill()
    owner.communicate()
    assert eventually(lambda: not processes_of(made)), processes_of(made)
    with Servers(made, QUICK).running() as servers:
        assert_complete(servers)


def test_servers_that_nobody_owns_live_on(made: Path) -> None:
    starter = python(made, "servers.up(owned=False); print('up', flush=True); time.sleep(600)")
    assert starter.stdout is not None
    assert starter.stdout.readline() == "up\n"
    starter.kill()
    starter.communicate()
    time.sleep(0.5)
    assert_complete(Servers(made))


STEPS = {
    "first state saved": "servers.up(progress=lambda told: die())",
    "within the first initdb": """
        threading.Timer(0.3, die).start(); servers.up()
        """,
    "before initdb's folder takes its name": """
        cluster.Cluster._put_in_place = lambda *_: die(); servers.up()
        """,
    "as the first server starts": """
        servers.up(progress=lambda told: die() if told == 'starting the server operational' else None)
        """,
    "while the first server starts": """
        cluster.Cluster._wait_for_answer = lambda *_: die(); servers.up()
        """,
    "between two roles": """
        make = roles._create_role
        roles._create_role = lambda c, role, p: die() if 'replication' in role else make(c, role, p)
        servers.up()
        """,
    "between two databases": """
        grant = roles._let_connect
        roles._let_connect = lambda c, name, role: die() if name == 'logistics' else grant(c, name, role)
        servers.up()
        """,
    "between the databases of the warehouse": """
        make = roles._exists
        roles._exists = lambda c, q, *a: die() if 'dagster' in a else make(c, q, *a)
        servers.up()
        """,
    "before the replica's slot": """
        roles.make_slot = lambda *_: die(); servers.up()
        """,
    "after the replica's slot": """
        cluster.Cluster.copy_of = lambda *_: die(); servers.up()
        """,
    "within the replica's copy": """
        servers.up(progress=lambda told: threading.Timer(0.15, die).start() if 'replica' in told else None)
        """,
    "before the replica's folder takes its name": """
        put = cluster.Cluster._put_in_place
        cluster.Cluster._put_in_place = lambda c, p: die() if c.name == 'replica' else put(c, p)
        servers.up()
        """,
}


@pytest.mark.slow
def test_up_that_was_killed_at_any_step_is_completed_by_the_next(home: Path) -> None:
    """One home through all steps, in the order in which they come: each run gets a little further."""
    for step, script in STEPS.items():
        killed = python(home, script)
        _, errors = killed.communicate(timeout=60)
        assert killed.returncode == -signal.SIGKILL, f"not killed {step}: {errors}"
    with Servers(home, QUICK).running() as servers:
        assert_complete(servers)


@pytest.mark.slow
def test_up_that_was_interrupted_is_completed_by_the_next(home: Path) -> None:
    servers = Servers(home, QUICK)
    for seconds in (0.5, 1.0, 1.5):  # one after the other: each gets a little further
        interrupted = python(
            home,
            f"threading.Timer({seconds}, lambda: os.kill(os.getpid(), signal.SIGINT)).start(); servers.up()",
        )
        _, errors = interrupted.communicate(timeout=60)
        assert "KeyboardInterrupt" in errors or interrupted.returncode == 0
    servers.up(owned=True)
    assert_complete(servers)


@pytest.mark.slow
def test_two_ups_at_once_make_one_set_of_servers(home: Path) -> None:
    script = "told = []; servers.up(progress=told.append); print(sum('starting' in line for line in told))"
    both = [python(home, script) for _ in range(2)]
    answers = [one.communicate(timeout=60) for one in both]
    assert sorted(out for out, _ in answers) == ["0\n", "3\n"], answers
    assert len(processes_of(home)) == 3
    assert_complete(Servers(home, QUICK))


def test_a_stale_pid_of_another_program_is_left_alone(made: Path) -> None:
    servers = Servers(made, QUICK)
    servers.up(owned=True)
    servers.down()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        stale = servers.server("warehouse").data_directory / "postmaster.pid"
        stale.write_text(f"{bystander.pid}\n{stale.parent}\n")
        owner = stale.parent.stat()
        os.chown(stale, owner.st_uid, owner.st_gid)
        assert not servers.server("warehouse").running
        servers.down()
        time.sleep(0.2)
        assert bystander.poll() is None
        servers.up(owned=True)
        assert bystander.poll() is None
        assert_complete(servers)
    finally:
        bystander.kill()
        bystander.wait()
