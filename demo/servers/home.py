"""The home directory: its lock, the one file that says what was made, and where the data lies.

``servers.json`` (0600) holds ports, passwords, the account and the place; ``servers.lock`` serialises every
command that changes something. What does not belong here: PostgreSQL.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from demo.servers.account import Account
from demo.servers.model import ROLES, SERVERS
from warehouse.errors import DemoError

# Where data goes if the servers' account cannot enter the home. In order of preference.
OTHER_PLACES = (Path("/var/lib/drivetrain-embedded"), Path("/var/tmp/drivetrain-embedded"))  # noqa: S108  (see is_ours)


@dataclass
class State:
    """What must be remembered between two commands."""

    account: str
    uid: int
    place: str | None
    """Where data lies if not in the home itself."""
    identity: str = field(default_factory=lambda: secrets.token_hex(4))
    """Tells this home's processes from those of every other home, a removed one at the same path included."""
    ports: dict[str, int] = field(default_factory=dict[str, int])
    passwords: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def complete_passwords(self) -> bool:
        """Give a password to every role that has none; whether there was one."""
        missing = [role for role in ROLES if role not in self.passwords]
        self.passwords |= {role: secrets.token_urlsafe(24) for role in missing}
        return bool(missing)


class Home:
    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._state_file = self.path / "servers.json"
        self._lock_file = self.path / "servers.lock"

    def create(self, account: Account) -> None:
        """Make the folder if it is missing, so that the account can pass through it and nobody list it."""
        if self.path.is_dir():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # another command made it at this moment
            self.path.mkdir()
            self.path.chmod(0o711 if account.switched else 0o700)

    @contextlib.contextmanager
    def lock(self, tell: Callable[[str], None]) -> Generator[None]:
        """Hold the home alone. The kernel lets go of it when the process dies."""
        while True:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    tell(f"waiting for another command that works on {self.path}")
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._is_lock_file(descriptor):
                    yield
                    return
            finally:
                os.close(descriptor)

    def _is_lock_file(self, descriptor: int) -> bool:
        """False if the one before us was `destroy`: then we hold the lock of a file that is gone."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._lock_file))
        except FileNotFoundError:
            return False

    def load(self) -> State | None:
        """What is remembered, or None for a home that was never used."""
        try:
            text = self._state_file.read_text()
        except FileNotFoundError:
            return None
        except PermissionError:
            raise self._belongs_to(self.path.stat().st_uid) from None
        try:
            return State(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise DemoError(
                f"{self._state_file} cannot be read: {error}",
                hint=f"If nothing in it is needed, stop its servers and remove {self.path}.",
            ) from error

    def save(self, state: State) -> None:
        write_file(self._state_file, json.dumps(asdict(state), indent=2) + "\n", 0o600)

    def new_state(self, account: Account) -> State:
        """Decide where data will lie. To be saved before anything is put there."""
        state = State(account.name, account.uid, None if account.can_enter(self.path) else str(self._other_place()))
        state.complete_passwords()
        return state

    def check_account(self, state: State, account: Account) -> None:
        if state.uid != account.uid:
            raise self._belongs_to(0 if state.account == "nobody" else state.uid)

    def place(self, state: State) -> Path:
        return Path(state.place) if state.place else self.path

    def other_places(self) -> list[Path]:
        """Where data of a home at this path may lie outside of it."""
        key = hashlib.sha256(os.fsencode(self.path.resolve())).hexdigest()[:12]
        return [base / key for base in OTHER_PLACES]

    def make_place(self, state: State) -> Path:
        place = self.place(state)
        for folder in (place, *(place / name for name in SERVERS)):
            folder.mkdir(exist_ok=True, parents=True)
        if state.place:
            for folder in (place.parent, place):
                folder.chmod(0o755)
            write_file(place / "README", f"PostgreSQL data of the embedded servers of {self.path}\n", 0o644)
        for name in SERVERS:
            (place / name).chmod(0o711)
        return place

    def remove(self, state: State | None) -> None:
        """Remove what this package made, and the home if nothing else is in it."""
        if state and state.place:
            self.remove_place(Path(state.place))
        for path in (*(self.path / name for name in SERVERS), *self.path.glob("pginstall-*")):
            remove(path)
        for path in (self.path / "pg_hba.conf", self._state_file, self._lock_file):
            remove(path)
        with contextlib.suppress(OSError):  # something else is in it
            self.path.rmdir()

    @staticmethod
    def remove_place(place: Path) -> None:
        """Remove a place outside of the home."""
        remove(place)
        with contextlib.suppress(OSError):  # other homes use it
            place.parent.rmdir()

    def _other_place(self) -> Path:
        for place in self.other_places():
            with contextlib.suppress(OSError):
                place.parent.mkdir(mode=0o755, exist_ok=True)
                # In a folder that everybody can write to, somebody else could have made it first.
                if is_ours(place.parent):
                    return place
        raise DemoError(
            f"The account the servers run under cannot enter {self.path}, and no other place can be made",
            hint=f"Use a home that others can enter, or run as an ordinary user (tried {OTHER_PLACES}).",
        )

    def _belongs_to(self, uid: int) -> DemoError:
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = f"user id {uid}"
        return DemoError(
            f"The servers in {self.path} were made by {name}, and PostgreSQL's files cannot change hands",
            hint=f"Run this as {name}; or have {name} run `drivetrain servers destroy` and begin anew; "
            "or use another data directory.",
        )


def is_ours(folder: Path) -> bool:
    """A real folder of this user that nobody else can write to."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def write_file(path: Path, text: str, mode: int) -> None:
    """Replace a file as a whole, whatever the umask."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    unfinished.replace(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, also while a dying program still writes there."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for attempt in range(50, -1, -1):
        try:
            shutil.rmtree(path)
            return
        except OSError as error:
            if not path.exists():
                return
            if attempt == 0 or error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise
            time.sleep(0.1)
