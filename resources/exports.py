"""Copies for persons, with the stores and the officers that the settings name.

What does not belong here: what is in a copy, and where it is kept (``warehouse.erasure``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from resources.erasure import estate
from resources.officers import signed_in
from resources.settings import Settings
from warehouse.erasure.exporting import KEPT, Made, new_file, run_export
from warehouse.erasure.exports import RemovedExports, copy_out, expire_exports
from warehouse.errors import RequestRefused
from warehouse.postgres.sessions import connect
from warehouse.state.audit import head_kept
from warehouse.state.exports import Export, note_fetched, read_exports
from warehouse.state.requests import read_request


def run(
    settings: Settings,
    request: int,
    to: Path | None = None,
    *,
    kept_for: dt.timedelta = KEPT,
    tell: Callable[[str], None] = lambda _: None,
) -> Made:
    """Make the copy that was approved, as the platform."""
    return run_export(estate(settings), request, to, kept_for=kept_for, tell=tell)


def exports(settings: Settings) -> list[Export]:
    """All, oldest first."""
    with signed_in(settings, "auditor") as session:
        return read_exports(session)


def fetch(settings: Settings, request: int, to: Path) -> Export:
    """Write the copy of a request that is kept to a file, as a requester; that is noted before.

    Raises:
        RequestRefused: none is kept of it, or its day is past.
        ConfigurationError: the file is there already, or cannot be written.
        Tampered: it is not what was made.
    """
    with new_file(to) as target, signed_in(settings, "requester") as session:
        read_request(session, request)
        kept = [each for each in read_exports(session, request) if each.kept and each.made_at is not None]
        if not kept:
            raise RequestRefused(
                f"request {request}: no copy of it is kept", hint="`drivetrain export list` says what there is, or was."
            )
        note_fetched(session, kept[-1].id)
        copy_out(settings.lake(), kept[-1], target)
        return next(each for each in read_exports(session, request) if each.id == kept[-1].id)


def expire(settings: Settings, at: dt.datetime) -> RemovedExports:
    """Remove copies that are past their day, as the platform."""
    with (
        connect(settings.warehouse(), application="drivetrain export") as operator,
        head_kept(operator, settings.lake()),
    ):
        return expire_exports(settings.lake(), operator, at)
