"""The operating-system account that the servers run under, and how programs are run as it.

PostgreSQL refuses to run as root. An ordinary user runs it as himself; root runs it as ``nobody``, which
exists nearly everywhere and owns nothing. What does not belong here: what is run.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.errors import DemoError

UNPRIVILEGED = "nobody"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int
    switched: bool
    """True if it is not the account of this process: then programs are started with another user id."""

    @classmethod
    def current(cls) -> Account:
        """The account for servers started by this process."""
        if os.geteuid() == 0:
            try:
                entry = pwd.getpwnam(UNPRIVILEGED)
            except KeyError:
                raise DemoError(
                    f"PostgreSQL refuses to run as root, and this machine has no account {UNPRIVILEGED!r}",
                    hint="Run the command as an ordinary user.",
                ) from None
        else:
            try:
                entry = pwd.getpwuid(os.geteuid())
            except KeyError:
                raise DemoError(
                    f"User id {os.geteuid()} is in no list of users, which PostgreSQL needs",
                    hint="Run as a user who has one, or add one to /etc/passwd.",
                ) from None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, switched=os.geteuid() == 0)

    def popen_arguments(self, dies_with_us: signal.Signals | None) -> dict[str, Any]:
        """How ``subprocess`` starts a program as this account, in an environment of ours alone.

        Args:
            dies_with_us: the signal it gets when the thread that starts it ends, however that happens.
        """
        arguments: dict[str, Any] = {
            # Nothing is inherited: the user's PGDATA, PGPORT or LD_LIBRARY_PATH mean other servers.
            "env": {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
        }
        if self.switched:
            arguments |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        if dies_with_us is not None and sys.platform == "linux":
            arguments["preexec_fn"] = _death_signal(dies_with_us)
        return arguments

    def run(
        self, argv: Sequence[str | Path], cwd: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; it does not outlive us. Whether it succeeded is for the caller to see."""
        arguments = self.popen_arguments(dies_with_us=signal.SIGTERM)
        arguments["env"] |= environment or {}
        return subprocess.run(
            [str(a) for a in argv], cwd=cwd, capture_output=True, text=True, errors="replace", **arguments
        )

    def can_enter(self, *folders: Path) -> bool:
        """Whether this account can reach the folders; tried rather than derived from permission bits."""
        if not self.switched:
            return True
        script = 'for folder in "$@"; do cd -- "$folder" || exit 1; done'
        try:
            return self.run(["/bin/sh", "-c", script, "sh", *folders], cwd=Path("/")).returncode == 0
        except OSError as error:
            raise DemoError(
                f"PostgreSQL refuses to run as root, and root cannot become {self.name} here: {error}",
                hint="Run the command as an ordinary user, or allow this container to change its user id.",
            ) from error

    def give(self, path: Path) -> None:
        """Make the account the owner of a file or folder that we have just made."""
        if self.switched:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def _death_signal(number: signal.Signals) -> Callable[[], None]:
    """What the child calls between fork and exec, after it has changed its user id (which would undo it)."""
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def ask_for_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the kernel knew of our wish
            os._exit(1)

    return ask_for_signal
