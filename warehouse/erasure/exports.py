"""Where copies for persons are kept: in the lake's ``_drivetrain/exports``, until they expire or the person is erased.

A copy is noted before its first byte is written, and as removed after nothing of it is found: so no copy is there that
nobody knows of. Each has a folder of its own, for what a killed process left lies beside it.

What does not belong here: what is in a copy (``exporting``), and who may fetch it (the database says).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import IO, Any

from warehouse.erasure.estate import Estate
from warehouse.erasure.keys import Keys
from warehouse.errors import LakeUnavailable, Tampered
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Connection
from warehouse.state.exports import Export, Why, exports_about, note_removed, read_exports

#: Beside the lake's tables: no application's bucket.
PLACE = "_drivetrain/exports"
#: What was begun so long ago, and is not made, was cut off.
_CUT_OFF = dt.timedelta(days=1)
_PIECE = 1 << 20


@dataclass(frozen=True)
class RemovedExports:
    """What became of copies.

    Attributes:
        expected: how many there were.
        removed: of which nothing was found afterwards, in no version.
        residual: of which something is there still.
    """

    expected: int
    removed: int
    residual: int


def new_path(request: int) -> str:
    """For a copy, which nobody guesses."""
    return f"{request:012d}/{secrets.token_hex(16)}/export.zip"


def kept_exports(keys: Keys, warehouse: Connection, persons: Mapping[str, Set[str]]) -> list[Export]:
    """Copies of which something may be there, or that are being made, of any of some persons.

    Args:
        keys: by which persons are digested.
        warehouse: a session of the platform.
        persons: their keys, by system.
    """
    digests = {
        system: [digest for key in of for digest in keys.digests(f"person of {system}", key)]
        for system, of in persons.items()
    }
    return exports_about(warehouse, digests)


def remove_exports(estate: Estate, operator: Connection, persons: Mapping[str, Set[str]]) -> RemovedExports:
    """Remove every copy of any of some persons, with all versions; one that is being made does not come to be.

    May be repeated.

    Args:
        estate: every store.
        operator: a session of the platform, in no transaction: each removal is noted by itself.
        persons: their keys, by system (``Scope.persons``).

    Raises:
        LakeUnavailable, AccessDenied: the store does not answer or refuses, so nobody can say what is left.
    """
    return _remove(estate.lake, operator, kept_exports(estate.keys, operator, persons), "erased")


def expire_exports(lake: Store, operator: Connection, at: dt.datetime) -> RemovedExports:
    """Remove copies that are past their day, and what is left of those that were cut off a day ago."""
    kept = [each for each in read_exports(operator) if each.kept]
    over = [each for each in kept if each.expires_at is not None and each.expires_at <= at]
    cut_off = [each for each in kept if each.made_at is None and each.begun_at <= at - _CUT_OFF]
    parts = [_remove(lake, operator, of, why) for of, why in _reasons(over, cut_off)]
    return RemovedExports(
        sum(each.expected for each in parts), sum(each.removed for each in parts), sum(each.residual for each in parts)
    )


def _reasons(over: list[Export], cut_off: list[Export]) -> list[tuple[list[Export], Why]]:
    return [(over, "expired"), (cut_off, "unfinished")]


def forget_unfinished(lake: Store, operator: Connection, request: int) -> None:
    """Remove what earlier runs for a request left when they were cut off. The caller has the request to itself."""
    left = [each for each in read_exports(operator, request) if each.made_at is None and each.removed_at is None]
    removed = _remove(lake, operator, left, "unfinished")
    if removed.residual:
        raise LakeUnavailable(
            f"request {request}: what an earlier run left cannot be removed",
            hint="May the platform delete below _drivetrain/exports? Run it again.",
        )


def _remove(lake: Store, operator: Connection, exports: list[Export], why: Why) -> RemovedExports:
    removed = 0
    for each in exports:
        if each.path is not None:
            folder = f"{each.path.rpartition('/')[0]}/"
            store = lake.under(PLACE)
            store.abort_uploads(folder)
            for path in {version.path for version in store.versions(folder)}:
                store.remove(path)
            if store.versions(folder):
                continue
        note_removed(operator, each.id, why)
        removed += 1
    return RemovedExports(len(exports), removed, len(exports) - removed)


def copy_out(lake: Store, export: Export, target: IO[bytes]) -> None:
    """Write a copy that is kept to a file, byte by byte what was made.

    Raises:
        Tampered: it is not what was made; what was written is to be thrown away.
        ObjectMissing, LakeUnavailable: it cannot be read.
    """
    assert export.path is not None
    digest = hashlib.sha256()
    with lake.under(PLACE).open(export.path) as content:
        while piece := content.read(_PIECE):
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != export.sha256:
        raise Tampered(
            f"the copy of request {export.request} is not what was made", hint="Nothing was handed over. File it anew."
        )


def digest_of(content: IO[bytes]) -> bytes:
    """SHA-256 of a file, which is at its beginning afterwards."""
    content.seek(0)
    digest: Any = hashlib.file_digest(content, "sha256")  # type: ignore[arg-type]
    content.seek(0)
    return digest.digest()
