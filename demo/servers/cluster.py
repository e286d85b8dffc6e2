"""One cluster on disk and in memory: make its data directory, start it until it answers.

What does not belong here: roles and databases (``roles``), and which servers there are (``servers``).
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from demo.servers import configuration, process
from demo.servers.account import Account
from demo.servers.binaries import Binaries
from demo.servers.home import State, remove, write_file
from demo.servers.model import HOST, OPERATIONAL, REPLICATION, SLOT, SUPERUSER, Server
from warehouse.errors import DemoError

SILENT_SECONDS = 60.0
"""How long a starting server may give no answer at all."""
RECOVERY_SECONDS = 900.0
"""How long it may answer that it is still replaying its log after a crash."""
ATTEMPTS = 8
PORTS = range(20000, 30000)
"""Below the ports that systems hand out to clients, so that a stopped server's port is rarely taken."""
NEEDED_BYTES = 600 * 1024 * 1024
FULL_BYTES = 150 * 1024 * 1024

CLEAR_LOG_ERRORS = ("could not bind", "Address already in use")
ORPHAN_LOG_ERRORS = ("lock file", "pre-existing shared memory", "shared memory block")


@dataclass(frozen=True)
class Cluster:
    """The server ``name`` in the folder ``directory``; every call is made under the home's lock."""

    name: str
    directory: Path
    state: State
    account: Account
    binaries: Binaries
    extra: Mapping[str, str]

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log_file(self) -> Path:
        return self.directory / "server.log"

    @property
    def initialised(self) -> bool:
        return self.data.is_dir()

    @property
    def cluster_name(self) -> str:
        return f"drivetrain-{self.state.identity}-{self.name}"

    def server(self) -> Server:
        return Server(
            name=self.name,
            port=self.state.ports[self.name],
            data_directory=self.data,
            log_file=self.log_file,
            pid=process.postmaster(self.data),
            passwords=self.state.passwords,
        )

    # --- the data directory ---------------------------------------------------------------------------------

    def initialise(self) -> None:
        """``initdb``; a kill in the middle leaves a folder that the next call removes."""
        unfinished = self._new_data()
        password_file = self._secret("superuser-password", self.state.passwords[SUPERUSER])
        self._tool(
            "initdb", "-D", unfinished, "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8",
            "--auth=scram-sha-256", f"--pwfile={password_file}", *self._unsafe("--no-sync"),
        )  # fmt: skip
        password_file.unlink()
        # The folder is the account's: never follow a link that it could have put there.
        descriptor = os.open(unfinished / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with open(descriptor, "a") as file:
            file.write(configuration.INCLUDE)
        self._put_in_place(unfinished)

    def copy_of(self, primary: Server) -> None:
        """A physical replica of a running primary, over the slot that exists there."""
        unfinished = self._new_data()
        login = f"{HOST}:*:*:{REPLICATION}:{self.state.passwords[REPLICATION]}\n"  # any port: it may change
        password_file = self._secret("pgpass", login)
        self._tool(
            "pg_basebackup", "-D", unfinished, "-h", HOST, "-p", str(primary.port), "-U", REPLICATION, "-w",
            "-X", "stream", "-S", SLOT, "-c", "fast", *self._unsafe("--no-sync"),
            PGPASSFILE=str(password_file), PGSSLMODE="disable", PGGSSENCMODE="disable",
        )  # fmt: skip
        # What `-R` would do, except that the primary's address goes to server.conf, where it can change.
        signal_file = unfinished / "standby.signal"
        os.close(os.open(signal_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        self.account.give(signal_file)
        self._put_in_place(unfinished)

    def check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != self.binaries.major:
            raise DemoError(
                f"The data in {self.data} is of PostgreSQL {found}, the installed programs are {self.binaries.version}",
                hint="Run `drivetrain servers destroy` and begin anew, or install the older programs again.",
            )

    def _new_data(self) -> Path:
        for leftover in self.directory.glob("data.new.*"):
            remove(leftover)
        if (free := shutil.disk_usage(self.directory).free) < NEEDED_BYTES:
            raise DemoError(
                f"{free // 2**20} MiB are free at {self.directory}; a server needs {NEEDED_BYTES // 2**20}",
                hint="Free some space, or choose another data directory.",
            )
        unfinished = self.directory / f"data.new.{secrets.token_hex(4)}"
        unfinished.mkdir(mode=0o700)
        self.account.give(unfinished)
        return unfinished

    def _put_in_place(self, unfinished: Path) -> None:
        unfinished.rename(self.data)
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _secret(self, name: str, text: str) -> Path:
        path = self.directory / name
        write_file(path, text, 0o600)
        self.account.give(path)
        return path

    def _unsafe(self, option: str) -> list[str]:
        """Whoever asks for no durability (tests) does not wait for the disk here either."""
        return [option] if self.extra.get("fsync") == "off" else []

    def _tool(self, name: str, *arguments: str | Path, **environment: str) -> None:
        answer = self.account.run([self.binaries.program(name), *arguments], self.directory, environment)
        if answer.returncode != 0:
            said = (answer.stderr or answer.stdout).strip()
            raise DemoError(
                f"{name} failed for the server {self.name}:\n{_last_lines(said)}", hint=_hint(said, self.directory)
            )

    # --- the running server ---------------------------------------------------------------------------------

    def configure(self) -> None:
        """Write ``server.conf``; a running server takes what can change without a restart."""
        hba = self.directory.parent / "pg_hba.conf"
        write_file(hba, configuration.HBA, 0o644)
        text = configuration.settings(
            self.name,
            self.state.ports[self.name],
            self.cluster_name,
            hba,
            self.state.ports[OPERATIONAL],
            self.extra,
        )
        path = self.directory / "server.conf"
        if not path.exists() or path.read_text() != text:
            write_file(path, text, 0o644)
            process.reload(self.data)

    def start(self, owned: bool, save_ports: Callable[[], None]) -> None:
        """Start it and wait until it answers; again where that helps (port taken, killed predecessor)."""
        said = ""
        for attempt in range(ATTEMPTS):
            if not is_free(self.state.ports[self.name]):
                self._other_port(save_ports)
            self.configure()
            said = self._try_to_start(owned)
            if not said:
                return
            if any(error in said for error in CLEAR_LOG_ERRORS):
                self._other_port(save_ports)  # somebody took it after we looked
            elif any(error in said for error in ORPHAN_LOG_ERRORS):
                process.end_orphans(self.cluster_name)
                time.sleep(0.25 * 2 ** min(attempt, 4))
            else:
                break
        raise DemoError(
            f"The server {self.name} does not start. The end of {self.log_file}:\n{_last_lines(said)}",
            hint=_hint(said, self.directory),
        )

    def _try_to_start(self, owned: bool) -> str:
        """Empty if it answers; otherwise what it wrote to its log before it gave up."""
        if (text := process.stale_lock(self.data)) is not None:
            self._secret("postmaster.pid", text).replace(self.data / "postmaster.pid")
        log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        argv = [str(self.binaries.program("postgres")), "-D", str(self.data)]
        child = process.launch(argv, self.directory, self.log_file, self.account, owned)
        try:
            answers = self._wait_for_answer(child)
        except BaseException:  # Ctrl-C: a server that nobody waited for is not one that was started
            child.send_signal(signal.SIGINT)
            raise
        if answers:
            return ""
        if child.poll() is None:
            process.stop([self.data])
        with self.log_file.open("rb") as log:
            log.seek(log_start if log_start <= self.log_file.stat().st_size else 0)
            return log.read().decode(errors="replace").strip() or "(nothing was logged)"

    def _wait_for_answer(self, child: subprocess.Popen[bytes]) -> bool:
        """Whether it accepts connections. It is not asked before it says so itself: until then, whoever
        answers at its port may be somebody else."""
        begin = time.monotonic()
        limit = SILENT_SECONDS
        while time.monotonic() - begin < limit and child.poll() is None:
            phase = process.phase(self.data, child.pid)
            if phase == "ready" and self._answers():
                return True
            if phase in ("starting", "standby"):
                limit = RECOVERY_SECONDS
            time.sleep(0.02)
        return False

    def _answers(self) -> bool:
        try:
            connect(self.server(), "postgres").close()
        except psycopg.OperationalError as error:
            if "password authentication failed" not in str(error):
                return False
            raise DemoError(
                f"The server {self.name} does not accept the password kept in the home",
                hint="The data is not of this home. Run `drivetrain servers destroy` and begin anew.",
            ) from error
        return True

    def _other_port(self, save_ports: Callable[[], None]) -> None:
        self.state.ports[self.name] = free_port(taken=self.state.ports.values())
        save_ports()

    def remove_data(self) -> None:
        process.stop([self.data])
        remove(self.data)


def connect(server: Server, database: str) -> psycopg.Connection:
    """A superuser's connection for our own statements; each commits by itself."""
    return psycopg.connect(
        server.dsn(database),
        autocommit=True,
        connect_timeout=10,
        hostaddr=HOST,
        gssencmode="disable",
        options="",
    )


def free_port(taken: Iterable[int] = ()) -> int:
    taken = set(taken)
    for port in random.sample(PORTS, 200):
        if port not in taken and is_free(port):
            return port
    raise DemoError(f"No free port between {PORTS.start} and {PORTS.stop}", hint="Stop some other servers.")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-count:])


def _hint(said: str, directory: Path) -> str:
    if "No space left" in said or "Disk quota" in said or shutil.disk_usage(directory).free < FULL_BYTES:
        return "The disk is full: free some space, then run the same command again."
    if "Too many open files" in said or "could not create shared memory" in said or "Cannot allocate" in said:
        return "The machine is short of memory or handles: end other programs, then run the same command again."
    return "Run the same command again; if it fails alike, `drivetrain servers destroy` begins anew."
