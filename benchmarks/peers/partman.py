"""pg_partman, on a server of Debian's packages: the embedded servers have no extensions of others.

Measured wherever Debian's packages are installed; ``--peers`` installs them, as root. The server is made in the
stage's folder and falls with it; a cluster of the machine's own is neither made nor touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg

from benchmarks.model import BenchmarkError
from benchmarks.stage import Stage
from demo.servers import Server, process
from demo.servers.account import Account
from demo.servers.binaries import Binaries
from demo.servers.cluster import Cluster, connect, free_port
from demo.servers.home import State
from demo.servers.model import OPERATIONAL

VERSION = "15"
PACKAGE = f"postgresql-{VERSION}-partman"
PROGRAMS = Path("/usr/lib/postgresql", VERSION, "bin")
_CONTROL = Path("/usr/share/postgresql", VERSION, "extension", "pg_partman.control")
#: Debian makes and starts a cluster when the server's package is installed, unless a file here says otherwise.
_CLUSTERS = Path("/etc/postgresql-common/createcluster.d")


class _Debian(Binaries):
    """Debian's programs of one major version."""

    def program(self, name: str) -> Path:
        return PROGRAMS / name


def server(stage: Stage, name: str, notes: list[str]) -> Server | None:
    """A running server that pg_partman can be created on; None where it is not installed, and the notes say why."""
    try:
        if not _CONTROL.exists() and stage.peers_python is not None:
            install(stage.tell)
    except BenchmarkError as error:
        notes.append(f"pg_partman was not measured: {error}")
        return None
    if not (_CONTROL.exists() and (PROGRAMS / "postgres").exists()):
        notes.append(
            f"pg_partman was not measured: {PACKAGE} is not installed; --peers installs it, as root on Debian."
        )
        return None
    stage.tell(f"starting a server of PostgreSQL {VERSION}")
    account = Account.current()
    folder = stage.folder / name / OPERATIONAL
    folder.mkdir(parents=True)
    folder.chmod(0o711)
    state = State(account.name, account.uid, None, ports={OPERATIONAL: free_port()})
    state.complete_passwords()
    cluster = Cluster(OPERATIONAL, folder, state, account, _Debian(PROGRAMS, VERSION), {})
    cluster.initialise()
    stage.endings.callback(process.stop, [cluster.data])
    cluster.start(owned=True, save_ports=lambda: None)
    return cluster.server()


def install(tell: Callable[[str], None]) -> None:
    """Debian's packages of the server and of pg_partman, without a cluster.

    Raises:
        BenchmarkError: this is no Debian, not root, or apt refuses.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BenchmarkError(f"its package can only be installed by root on Debian: apt-get install {PACKAGE}")
    tell(f"installing {PACKAGE}")
    made = not _CLUSTERS.exists()
    _CLUSTERS.mkdir(parents=True, exist_ok=True)
    none = _CLUSTERS / "drivetrain-benchmarks.conf"
    none.write_text("create_main_cluster = false\n")
    try:
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", PACKAGE]):
            done = subprocess.run(
                ["apt-get", "--quiet", *arguments],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
        if done.returncode != 0:
            raise BenchmarkError(f"apt-get: {done.stderr.strip().splitlines()[-1:]}")
    finally:
        none.unlink()
        if made and not any(_CLUSTERS.iterdir()):
            _CLUSTERS.rmdir()


def adopt(server: Server, database: str, table: str, column: str, days: int) -> str:
    """Let pg_partman maintain a table that has its daily partitions already, as many ahead as it wants.

    Nothing being due, it makes no default partition either.

    Gives:
        pg_partman's version.
    """
    with connect(server, database) as connection:
        connection.execute("CREATE SCHEMA partman")
        connection.execute("CREATE EXTENSION pg_partman SCHEMA partman")
        connection.execute(
            "SELECT partman.create_parent(%s, %s, 'native', 'daily', p_premake := %s)", (table, column, days)
        )
        row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'pg_partman'").fetchone()
    assert row is not None
    return row[0]


def keep_ahead(connection: psycopg.Connection, table: str, days: int) -> None:
    """Set how many partitions are due ahead of the one with the newest row: whole days, by pg_partman's own count.

    It counts by ``age``, which gives months, and takes each for thirty days.
    """
    connection.execute(
        "UPDATE partman.part_config SET premake ="
        " round(extract(epoch FROM age(current_date + %s, current_date)) / 86400) WHERE parent_table = %s",
        (days, table),
    )


def run_maintenance(connection: psycopg.Connection, table: str) -> None:
    """Once, with its defaults: no ANALYZE, and 4.7.2 makes none where ``p_analyze`` asks for it either."""
    connection.execute("SELECT partman.run_maintenance(%s)", (table,))
