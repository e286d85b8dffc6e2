"""The lake has what the ledger says of some months, and nothing else: the last step of whoever takes files out of it.

First the ledger says which files a month has; then all others leave the lake's table and the lake, here. Whoever is cut
off between does it again.
What does not belong here: which files.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Collection, Mapping
from typing import Any

from warehouse.errors import ExportRefused
from warehouse.lake.export import DataFile
from warehouse.lake.layout import MONTH
from warehouse.lake.store import Stored
from warehouse.postgres.sessions import Connection
from warehouse.state.moves import Move, advance, forget_stale_files, in_lake, read_files
from warehouse.state.tiered import Tiered

log = logging.getLogger(__name__)


def settle_months(
    connection: Connection, table: Tiered, months: Collection[dt.date], commit: str, written: Collection[DataFile] = ()
) -> Mapping[dt.date, Mapping[str, Any]]:
    """Let the lake's table have the ledger's files, in one commit; then remove every other object, and every version.

    Args:
        connection: of the warehouse; it holds the table's ingestion lock.
        table: which.
        months: of it.
        commit: beginning of its id in the lake's log. A warehouse that was restored counts its passes anew, and the
            log remembers: so each commit has an id of its own. Made twice, it says the same.
        written: new files, as far as more is known of them than the ledger knows.

    Returns:
        What was looked for, and found, by month.

    Raises:
        ExportRefused: objects that were to go are there still, or others are not.
        LakeUnavailable: the lake does not answer; the next run goes on.
    """
    whose, lake = (table.system.system, table.name), table.lake
    folders = {month: f"{MONTH}={month:%Y-%m}/" for month in months}
    due: dict[dt.date, dict[str, DataFile]] = {}
    for month in months:
        move = in_lake(connection, *whose, month)
        due[month] = {file.path: file for file in (read_files(connection, move) if move is not None else ())}
    versions = {month: lake.store.versions(folder) for month, folder in folders.items()}
    for month, of_month in versions.items():  # first: what is nobody's by the ledger may be all that there is
        missing = set(due[month]) - {each.path for each in of_month if not each.marker}
        if missing:
            raise ExportRefused(
                f"{table.where} {month:%Y-%m}: {len(missing)} files are not in the lake: {min(missing)}",
                hint="Nothing was removed. `drivetrain prove --deep` says what is wrong.",
            )
    named = {path: file for of_month in due.values() for path, file in of_month.items()}
    named |= {file.path: file for file in written if file.path in named}
    there = _within(lake.files(), folders.values())
    if there != set(named):
        added = [file for path, file in named.items() if path not in there]
        lake.commit(f"{commit}-{os.urandom(4).hex()}", added, removed=there - set(named))
        there = _within(lake.files(), folders.values())
    details: dict[dt.date, Mapping[str, Any]] = {}
    for month, folder in folders.items():
        for path in sorted({each.path for each in versions[month]} - set(due[month])):
            lake.store.remove(path)
        left = lake.store.versions(folder)
        others = {each.path for each in left} ^ set(due[month])
        others |= {path for path in there if path.startswith(folder)} ^ set(due[month])
        if others:
            raise ExportRefused(
                f"{table.where} {month:%Y-%m}: the lake has not what it should after rows went: {min(others)}",
                hint="May the platform delete objects and their versions there? The next run goes on.",
            )
        with connection.transaction():
            forget_stale_files(connection, *whose, month)
        details[month] = {
            "looked_for": f"objects and versions under {folder}",
            "removed": len(versions[month]) - len(left),
            "versions_left": len(left),
            "objects_of_the_ledger": len(due[month]),
        }
    return details


def files_of(table: Tiered, move: Move) -> list[Stored]:
    """Files that a move wrote, committed or not. Only its month is listed: a lake has many."""
    assert move.export is not None
    there = table.lake.store.list(f"{MONTH}={move.month:%Y-%m}/")
    return [each for each in there if each.path.rpartition("/")[2].startswith(move.export)]


def give_up(connection: Connection, table: Tiered, move: Move, why: str, run_id: str | None = None) -> Move:
    """Undo a move into the lake that is not flipped: its files leave the lake's table, and then the lake."""
    assert move.export is not None
    assert move.state in ("planned", "exported", "verified")
    files = files_of(table, move)
    if table.lake.committed(move.export):
        table.lake.commit(f"{move.export} undone", [], removed=[file.path for file in files])
    for file in files:
        table.lake.store.remove(file.path)
    with connection.transaction():
        connection.execute("DELETE FROM platform.lake_file WHERE move = %s", (move.id,))
        log.warning("%s: undone: %s", move.name, why)
        return advance(connection, move, "undone", detail={"why": why}, run_id=run_id)


def _within(paths: Collection[str], folders: Collection[str]) -> set[str]:
    months = {folder.rstrip("/") for folder in folders}
    return {path for path in paths if path.partition("/")[0] in months}
