"""One error tree for the platform.

What belongs here: every exception that Drivetrain raises on purpose. Each carries a message that says
what is wrong and where, and a ``hint`` that says what to do. ``transient`` tells a scheduler whether the
same call can succeed later without anybody changing anything.

What does not: programming errors (those stay ``AssertionError``, ``TypeError`` ...), and the library
errors of psycopg, which ``warehouse.postgres.sessions`` translates at the boundary.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: A line holds so many names; of more, those most like what was asked for.
_MOST, _NEAREST = 10, 5


def listed(names: Iterable[str], asked: str) -> str:
    """What there is, for a hint: ``rides, riders``; of many the nearest, ``rides, riders, ... (the nearest of 41)``.

    Args:
        names: in the order in which they are told.
        asked: what somebody wrote instead.
    """
    every = list(names)
    if len(every) <= _MOST:
        return ", ".join(every) or "none"
    near = difflib.get_close_matches(asked, every, n=_NEAREST, cutoff=0)
    return f"{', '.join(near)} (the nearest of {len(every)})"


class DrivetrainError(Exception):
    """Base of all deliberate errors.

    Args:
        message: what is wrong, and where (file, table, column).
        hint: what the reader can do about it.
    """

    transient: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class TransientError(DrivetrainError):
    """The same call may succeed later: retry it."""

    transient = True


class ConfigurationError(DrivetrainError):
    """A setting (environment variable, ``.env`` entry, command-line value) is missing or wrong."""


class CatalogError(DrivetrainError):
    """A catalog file is malformed or contradicts itself.

    Attributes:
        problems: one line each, ``file: table.field: what is wrong``.
    """

    def __init__(self, problems: list[str], *, hint: str = "") -> None:
        self.problems = problems
        super().__init__("\n".join(problems), hint=hint)


class CatalogMismatch(DrivetrainError):
    """The live database is not what the catalog says (missing table, column, key; other type)."""


class UnsupportedType(DrivetrainError):
    """A column's type cannot be carried exactly into the warehouse."""


class ServerUnavailable(TransientError):
    """A database does not answer: down, unreachable, starting up or out of connections."""


class AccessDenied(DrivetrainError):
    """A database or the lake's storage answered and refused: wrong or expired credentials, missing privilege."""


class StatementRefused(DrivetrainError):
    """A database answered, and refused a statement or a row of it; the message is its own."""


class Tampered(DrivetrainError):
    """What was sealed, signed or chained is not what it was when that was done, or by a key that nobody knows."""


class Busy(TransientError):
    """Somebody else holds the lock of this table: another ingestion or a maintenance run."""


class SourceInterrupted(TransientError):
    """The source ended a read (recovery conflict, lost connection, statement timeout); nothing was kept."""


class ReconciliationFailed(DrivetrainError):
    """Source and warehouse differ after a load under the same snapshot; the load was rolled back."""


class LakeUnavailable(TransientError):
    """The lake's storage does not answer, is full, or lacks an object that should be there."""


class ObjectMissing(LakeUnavailable):
    """An object that should be in the lake is not there, and will not be unless somebody restores it."""

    transient = False


class ExportRefused(DrivetrainError):
    """A month's rows cannot be kept in the lake exactly, or are not what was read back from it; nothing was moved."""


class LegalHold(DrivetrainError):
    """A legal hold keeps rows that were to go, or nobody can say which it keeps; nothing was deleted."""


class RequestRefused(DrivetrainError):
    """A person's request cannot be served so: unknown, in another state, without approval; nothing was changed."""


class ErasedPerson(DrivetrainError):
    """Rows of a person who is erased, or about to be, were to be written or moved; nothing was."""


class Restored(DrivetrainError):
    """A store is of another time than the rest: who was erased since may be in it again; nothing was done."""


class ErasureRefused(DrivetrainError):
    """A person cannot be erased as things are; nothing was changed.

    Attributes:
        problems: one line each, ``system.table.column: what is wrong; what to do``. No value of anybody's.
    """

    def __init__(self, problems: list[str], *, hint: str = "") -> None:
        self.problems = problems
        super().__init__("\n".join(problems), hint=hint or "Nothing was changed. Plan again when mended.")


class TooLarge(DrivetrainError):
    """What was asked for would take more room than is allowed; nothing was changed."""


class DemoError(DrivetrainError):
    """The embedded servers or the demo data cannot be set up on this machine."""
