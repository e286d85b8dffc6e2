"""One postmaster as a process: launch it, find it, stop it.

What does not belong here: configuration, ports, and whether the server answers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from demo.servers.account import Account
from warehouse.errors import DemoError

FAST_SHUTDOWN_SECONDS = 90.0
IMMEDIATE_SHUTDOWN_SECONDS = 15.0
NO_PROCESS = 2**31 - 1
"""A process number that no system gives out."""
LOG_LIMIT = 16 * 1024 * 1024


def launch(argv: Sequence[str], cwd: Path, log_file: Path, account: Account, owned: bool) -> subprocess.Popen[bytes]:
    """Start a server that writes to its log and has no terminal.

    An owned server is sent a fast-shutdown signal by the kernel when its owner dies. That signal is bound to
    the *thread* that started it, hence a thread of its own, which lives as long as the server and also
    takes its exit status (so that a dead server does not linger as a zombie).
    """
    started: SimpleQueue[subprocess.Popen[bytes] | BaseException] = SimpleQueue()

    def start_and_wait() -> None:
        try:
            arguments = account.popen_arguments(dies_with_us=signal.SIGINT if owned else None)
            with _open_log(log_file) as log:
                server = subprocess.Popen[bytes](argv, cwd=cwd, stdout=log, stderr=log, **arguments)
        except BaseException as error:
            started.put(error)
            return
        started.put(server)
        server.wait()

    threading.Thread(target=start_and_wait, name=f"server {cwd.name}", daemon=True).start()
    outcome = started.get()
    if isinstance(outcome, BaseException):
        raise DemoError(
            f"Cannot start {argv[0]} as {account.name}: {outcome}",
            hint="See whether this account may run programs here.",
        ) from outcome
    return outcome


def _open_log(log_file: Path) -> IO[bytes]:
    if log_file.exists() and log_file.stat().st_size > LOG_LIMIT:
        log_file.replace(log_file.with_suffix(".log.1"))
    return open(os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def postmaster(data: Path) -> int | None:
    """The process id of the live server of this data directory.

    ``postmaster.pid`` alone proves nothing: after a kill it stays, and its number may be another program's.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().partition("\n")[0])
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return pid if " ".join(command_line(pid)).endswith(f"postgres -D {data}") else None


def phase(data: Path, pid: int) -> str:
    """What a server says of itself: starting, standby (recovering), ready, stopping; or nothing."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return ""
    return lines[7].strip() if len(lines) > 7 and lines[0] == str(pid) else ""


def stale_lock(data: Path) -> str | None:
    """What ``postmaster.pid`` has to say so that a killed server's lock is seen as such; None if all is well.

    After a restart of the machine another program of the same account may have the old number, and PostgreSQL
    would take it for the old server. The other lines stay: by them it finds backends that still live.
    """
    try:
        old, _, rest = (data / "postmaster.pid").read_text().partition("\n")
    except FileNotFoundError:
        return None
    if not old.isdigit() or not command_line(int(old)) or postmaster(data) is not None:
        return None
    return f"{NO_PROCESS}\n{rest}"


def command_line(pid: int) -> list[str]:
    """The command line of a live process; empty for none and for a zombie."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        except OSError:
            return []
    answer = subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True)
    return answer.stdout.split()


def stop(data_directories: Sequence[Path]) -> None:
    """Stop servers, all at once: fast, which rolls back what is open; if that hangs, immediately."""
    for data in data_directories:
        _signal(data, signal.SIGINT)
    for data in data_directories:
        if wait_until(lambda data=data: postmaster(data) is None, FAST_SHUTDOWN_SECONDS):
            continue
        _signal(data, signal.SIGQUIT)
        if not wait_until(lambda data=data: postmaster(data) is None, IMMEDIATE_SHUTDOWN_SECONDS):
            raise DemoError(
                f"The server of {data} (process {postmaster(data)}) does not stop",
                hint="Look for a stuck disk; then end that process by hand.",
            )


def reload(data: Path) -> None:
    """Let a running server read its configuration again."""
    _signal(data, signal.SIGHUP)


def end_orphans(cluster_name: str) -> None:
    """End the backends that outlived their killed postmaster, which keep a new one from starting.

    A backend notices that its postmaster is gone only when it waits; one in a long query goes on. The
    cluster's name, unique to this home, leads the process title. Only for a cluster without a postmaster.
    """
    if sys.platform != "linux":
        return
    for entry in Path("/proc").iterdir():
        title = "".join(command_line(int(entry.name))) if entry.name.isdigit() else ""
        if title.startswith(f"postgres: {cluster_name}: "):
            _kill(int(entry.name), signal.SIGQUIT)


def wait_until(done: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def _signal(data: Path, number: signal.Signals) -> None:
    if (pid := postmaster(data)) is not None:
        _kill(pid, number)


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended between the look and the signal
        os.kill(pid, number)
