"""The three servers as one thing: up, down, status, destroy, and their connection strings.

What does not belong here: how a single cluster is made, started or found (``cluster``, ``process``).
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from demo.servers import process, roles
from demo.servers.account import Account
from demo.servers.binaries import locate
from demo.servers.cluster import Cluster, connect, free_port
from demo.servers.home import Home, State, is_ours
from demo.servers.model import (
    ANALYST,
    CAPTURER,
    DATABASES,
    MAINTAINER,
    OPERATIONAL,
    ORCHESTRATOR,
    PLATFORM,
    READER,
    REPLICA,
    SERVERS,
    SUPERUSER,
    SYSTEMS,
    VERIFIER,
    WAREHOUSE,
    Server,
)
from warehouse.errors import DemoError

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    pass


class Servers:
    """The embedded servers of one home directory.

    Args:
        home: the folder that holds them; made if missing.
        settings: PostgreSQL settings that win over ours, for all three (tests pass ``fsync=off``). The last
            ``up`` decides; a setting that needs a restart holds from the server's next start.
    """

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.absolute()
        self._home = Home(home)
        self._settings = dict(settings or {})

    # --- what changes something -----------------------------------------------------------------------------

    def up(self, owned: bool = False, progress: Progress | None = None) -> None:
        """Make what is missing and start what does not run; can be repeated at any time.

        Args:
            owned: the servers end with this process, even if it is killed. Otherwise they live on.
            progress: is told what is being done, one line each.
        """
        self._up(owned, progress or _silent, started=[])

    def down(self) -> None:
        """Stop what runs. The data stays."""
        with self._existing() as state:
            if state:
                process.stop(self._data_directories(state, reversed(SERVERS)))

    def destroy(self) -> None:
        """Stop the servers and remove all that was made: in the home, and outside of it."""
        with self._existing() as state:
            if state:
                process.stop(self._data_directories(state, reversed(SERVERS)))
            with _clear_errors():
                self._remove_leftovers()
                self._home.remove(state)

    @contextlib.contextmanager
    def running(self, progress: Progress | None = None) -> Generator[Servers]:
        """For the time of a ``with`` block: start what does not run, and in the end stop just that."""
        started: list[str] = []
        try:
            self._up(True, progress or _silent, started)
            yield self
        finally:
            if started:
                with self._existing() as state:
                    if state:
                        process.stop(self._data_directories(state, reversed(started)))

    # --- what only looks ------------------------------------------------------------------------------------

    def server(self, name: str) -> Server:
        """One of ``operational``, ``warehouse``, ``replica``, as it is now."""
        state = self._home.load()
        if state is None or name not in state.ports:
            raise DemoError(
                f"There are no embedded servers in {self.home} yet",
                hint="Start them: `drivetrain servers up`.",
            )
        directory = self._home.place(state) / name
        return Server(
            name=name,
            port=state.ports[name],
            data_directory=directory / "data",
            log_file=directory / "server.log",
            pid=process.postmaster(directory / "data"),
            passwords=state.passwords,
        )

    def status(self) -> dict[str, Any]:
        """What ``drivetrain servers status`` prints as JSON. The connection strings carry their passwords."""
        state = self._home.load()
        return {"servers": {name: self._status(name, state) for name in (OPERATIONAL, WAREHOUSE, REPLICA)}}

    def system_dsn(self, system: str) -> str:
        """A system's primary, for reading: the role cannot write."""
        return self.server(OPERATIONAL).dsn(_known(system), READER)

    def maintenance_dsn(self, system: str) -> str:
        """A system's primary, for its partitions."""
        return self.server(OPERATIONAL).dsn(_known(system), MAINTAINER)

    def capture_dsn(self, system: str) -> str:
        """A system's primary, for its log."""
        return self.server(OPERATIONAL).dsn(_known(system), CAPTURER)

    def system_admin_dsn(self, system: str) -> str:
        """A system's primary as superuser, for filling it with demonstration data only."""
        return self.server(OPERATIONAL).dsn(_known(system), SUPERUSER)

    def replica_dsn(self, system: str) -> str:
        """A system's replica, for reading."""
        return self.server(REPLICA).dsn(_known(system), READER)

    def warehouse_dsn(self) -> str:
        return self.server(WAREHOUSE).dsn("warehouse", PLATFORM)

    def analyst_dsn(self) -> str:
        """The warehouse as an analyst has it."""
        return self.server(WAREHOUSE).dsn("warehouse", ANALYST)

    def officer_dsn(self, role: str) -> str:
        """The warehouse as an officer of a role has it."""
        return self.server(WAREHOUSE).dsn("warehouse", role)

    def verifier_dsn(self, database: str = "warehouse") -> str:
        """The warehouse, or Dagster's database, as who verifies an erasure has it."""
        return self.server(WAREHOUSE).dsn(database, VERIFIER)

    def dagster_dsn(self) -> str:
        return self.server(WAREHOUSE).dsn("dagster", ORCHESTRATOR)

    def wait_for_replica(self, timeout: float = 30.0) -> None:
        """Return when the replica has replayed all that the primary has written by now."""
        with connect(self.server(OPERATIONAL), "postgres") as primary:
            target = _text(primary, "SELECT pg_current_wal_lsn()::text")
        deadline = time.monotonic() + timeout
        with connect(self.server(REPLICA), "postgres") as replica:
            caught_up = b"SELECT coalesce(pg_last_wal_replay_lsn() >= %s::pg_lsn, false)"
            while replica.execute(caught_up, [target]).fetchone() != (True,):
                if time.monotonic() > deadline:
                    replayed = _text(replica, "SELECT coalesce(pg_last_wal_replay_lsn()::text, 'nothing')")
                    raise DemoError(
                        f"The replica is at {replayed} after {timeout:g} s; the primary wrote {target}",
                        hint=f"See the end of {self.server(REPLICA).log_file}.",
                    )
                time.sleep(0.01)

    # --- how ------------------------------------------------------------------------------------------------

    def _up(self, owned: bool, tell: Progress, started: list[str]) -> None:
        account = Account.current()
        with _clear_errors():
            self._home.create(account)
            self._check_account(account)
            with self._home.lock(tell):
                state = self._state(account)
                place = self._home.make_place(state)
                binaries = locate(account, place)
                clusters = {
                    name: Cluster(name, place / name, state, account, binaries, self._settings) for name in SERVERS
                }
                for name in (OPERATIONAL, WAREHOUSE):
                    if not clusters[name].initialised:
                        tell(f"making the server {name}")
                        clusters[name].initialise()
                    self._start(clusters[name], owned, tell, started)
                    roles.provide(clusters[name].server())
                self._provide_replica(clusters[REPLICA], clusters[OPERATIONAL].server(), tell)
                self._start(clusters[REPLICA], owned, tell, started)

    def _start(self, cluster: Cluster, owned: bool, tell: Progress, started: list[str]) -> None:
        cluster.check_version()
        if process.postmaster(cluster.data) is not None:
            cluster.configure()  # the primary's port may have changed
            return
        tell(f"starting the server {cluster.name}")
        started.append(cluster.name)
        cluster.start(owned, save_ports=lambda: self._home.save(cluster.state))

    @staticmethod
    def _provide_replica(replica: Cluster, primary: Server, tell: Progress) -> None:
        """Copy the primary, if there is no copy yet or if it cannot follow any more."""
        if replica.initialised and roles.slot_is_usable(primary):
            return
        tell("copying the server operational to its replica")
        replica.remove_data()
        roles.make_slot(primary)
        replica.copy_of(primary)

    def _state(self, account: Account) -> State:
        """What is remembered, or for a new home a beginning: saved before anything else is made."""
        if state := self._home.load():
            if state.complete_passwords():  # a home made before there was such a role
                self._home.save(state)
            return state
        self._remove_leftovers()
        state = self._home.new_state(account)
        for name in SERVERS:
            state.ports[name] = free_port(taken=state.ports.values())
        self._home.save(state)
        return state

    def _remove_leftovers(self) -> None:
        """A home removed by hand may have left servers elsewhere; a new home does not inherit them."""
        for place in self._home.other_places():
            if is_ours(place):
                process.stop([place / name / "data" for name in SERVERS])
                self._home.remove_place(place)

    @contextlib.contextmanager
    def _existing(self) -> Generator[State | None]:
        """Under the lock: what is remembered, or None if there is nothing."""
        account = Account.current()
        if not self.home.is_dir():
            yield None
            return
        with _clear_errors():
            self._check_account(account)
            with self._home.lock(_silent):
                yield self._home.load()

    def _check_account(self, account: Account) -> None:
        if state := self._home.load():
            self._home.check_account(state, account)

    def _data_directories(self, state: State, names: Iterable[str]) -> list[Path]:
        return [self._home.place(state) / name / "data" for name in names]

    def _status(self, name: str, state: State | None) -> dict[str, Any]:
        if state is None or name not in state.ports:
            return {"running": False, "dsn": None, "databases": {}, "location_note": "not made yet"}
        server = self.server(name)
        place = self._home.place(state)
        notes: list[str] = []
        if state.place:
            notes.append(f"outside of {self.home}, which the account {state.account} cannot enter")
        if programs := next(place.glob("pginstall-*"), None):
            notes.append(f"with its own copy of PostgreSQL's programs in {programs}")
        return {
            "dsn": server.dsn("warehouse" if name == WAREHOUSE else "postgres"),
            "databases": {database: server.dsn(database) for database in DATABASES[name]},
            **({"analyst": self.analyst_dsn()} if name == WAREHOUSE and ANALYST in server.passwords else {}),
            "host": server.host,
            "port": server.port,
            "user": SUPERUSER,
            "running": server.running,
            "pid": server.pid,
            "version": _version(server),
            "data_directory": str(server.data_directory),
            "log_file": str(server.log_file),
            "account": state.account,
            "location_note": "; ".join(notes),
        }


def _known(system: str) -> str:
    if system not in SYSTEMS:
        raise DemoError(f"No demonstration system {system!r}", hint=f"There are {', '.join(SYSTEMS)}.")
    return system


def _version(server: Server) -> str | None:
    """The full version of a running server, of a stopped one the major version of its data."""
    if server.running:
        with contextlib.suppress(psycopg.OperationalError), connect(server, "postgres") as connection:
            return _text(connection, "SHOW server_version")
    with contextlib.suppress(OSError):
        return (server.data_directory / "PG_VERSION").read_text().strip()
    return None


def _text(connection: psycopg.Connection, query: LiteralString) -> str:
    row = connection.execute(query).fetchone()
    return str(row[0]) if row else ""


@contextlib.contextmanager
def _clear_errors() -> Generator[None]:
    """What the operating system or a server refuses is told as an error that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise DemoError(
            f"The embedded servers cannot work here: {error}",
            hint="The disk is full: free some space, then run the same command again."
            if full
            else "See whether this user may write there, or choose another data directory.",
        ) from error
    except psycopg.Error as error:
        raise DemoError(
            f"An embedded server refused a statement: {error}",
            hint="Run the same command again; `drivetrain servers status` names the log file.",
        ) from error
