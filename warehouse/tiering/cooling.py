"""Warm to cold: a month of the warehouse becomes files of the lake.

Each step ends in a state of the ledger, and can be repeated by anybody from there:

1. planned: the export has an id, and the names of its files begin with it.
2. exported: the files are written and noted, then committed to the lake's table, once.
3. verified: they were read anew, and amount to what the warehouse has.
4. flipped: the month's table left the raw table; readers take the month from the lake.
5. dropped: after a while, when files and table were compared once more in the transaction that drops it.

Until a move is flipped, it can be undone: its files leave the lake's table, and the month is warm as it was.
What does not belong here: which months are due (``plan``).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.naming import moved_name
from warehouse.errors import ExportRefused, ObjectMissing
from warehouse.lake.content import NOTHING, Content, content_on_server
from warehouse.lake.export import Part, export_name, read_back, refuse_infinite, write_files
from warehouse.lake.layout import MONTH
from warehouse.postgres.sessions import Connection, Dsn, translated
from warehouse.state.moves import (
    Move,
    advance,
    begin,
    came_back,
    forget_stale_files,
    read_files,
    read_moves,
    record_files,
)
from warehouse.state.raw_store import RawTable
from warehouse.state.rehydrations import end_rehydration
from warehouse.state.settling import files_of, give_up
from warehouse.state.tiered import Tiered

_TRUE = sql.SQL("true")
_ANEW = (
    "Nothing was dropped. `drivetrain tiers rehydrate` takes the month from what is kept, and its next move writes the "
    "files anew."
)


@dataclass(frozen=True)
class Cooling:
    """One table's months on their way to the lake. The session holds the table's ingestion lock.

    Attributes:
        dsn: of the warehouse, for the session that reads the rows.
        connection: the session that compares, and keeps the ledger.
        table: which.
        raw: the same, as its writers have it.
        keep_until: until when what was moved is kept.
        run_id: noted in the ledger.
    """

    dsn: Dsn
    connection: Connection
    table: Tiered
    raw: RawTable
    keep_until: dt.datetime
    run_id: str | None = None

    def start(self, month: dt.date, reason: str) -> Move:
        """Note a move."""
        system, name = self.table.system.system, self.table.name
        with self.connection.transaction():
            end_rehydration(self.connection, system, name, month)
            return begin(
                self.connection, system, name, month, "warm",
                reason=reason, export=export_name(), layout=self.table.layout.rule, run_id=self.run_id,
            )  # fmt: skip

    def go_on(self, move: Move) -> Move:
        """Take a move from where it is to ``flipped``.

        Raises:
            ExportRefused: its rows cannot be kept in the lake exactly, or are not what was read back; it stays warm.
            ObjectMissing: a file that was written is not there; it stays warm.
            LakeUnavailable: the lake does not answer; the next run goes on.
            Busy: readers held the raw table.
        """
        if move.state == "planned":
            move = self._export(move)
        if move.state in ("exported", "verified"):  # of a run that was cut off, nobody knows how long ago
            move = self._verify(move)
        if move.state == "verified":
            move = self._flip(move)
        return move

    def _export(self, move: Move) -> Move:
        """Write the files and commit them, or find that an earlier run did."""
        assert move.export is not None
        if self.table.lake.committed(move.export):
            return self._exported(move)
        for left in files_of(self.table, move):  # of a run that was cut off before it had noted them
            self.table.lake.store.remove(left.path)
        child = self.table.child(move.month)
        with translated(move.name), self.connection.transaction():
            self.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            row = self.connection.execute(
                "SELECT pg_export_snapshot(), pg_relation_size(%s::regclass)", (child.as_string(self.connection),)
            ).fetchone()
            assert row is not None
            self.raw.refuse_erased(child)
            refuse_infinite(self.connection, child, self.table.columns, _TRUE)
            part = Part(
                self.dsn, row[0], child, _TRUE, self.table.columns, self.table.layout, self.table.policy.time,
                f"{move.month:%Y-%m}", row[1],
            )  # fmt: skip
            files = write_files(part, self.table.lake.store, move.export)
            content = content_on_server(self.connection, child, self.table.columns, _TRUE)
        with self.connection.transaction():
            self.connection.execute("DELETE FROM platform.lake_file WHERE move = %s", (move.id,))
            record_files(self.connection, move, files)
            self.connection.execute(
                "UPDATE platform.tier_move SET kept_rows = %s, kept_hash = %s, kept_columns = %s WHERE id = %s",
                (content.rows, content.hash, content.columns, move.id),
            )
        stale = self._stale(move)
        self.table.lake.commit(move.export, files, removed=stale)
        for path in stale:
            self.table.lake.store.remove(path)
        with self.connection.transaction():
            forget_stale_files(self.connection, move.system, move.table, move.month)
        return self._exported(move)

    def _moves(self, move: Move) -> list[Move]:
        """All moves of the same month into the lake."""
        moves = read_moves(self.connection, move.system, move.table)
        return [each for each in moves if each.month == move.month and each.from_tier == "warm"]

    def _stale(self, move: Move) -> list[str]:
        """Files of the month in the lake's table that are of no move any more: the month had come back meanwhile."""
        if not came_back(self.connection, move.system, move.table, move.month):
            return []  # and the log of all months need not be read for it
        live = tuple(each.export for each in self._moves(move) if each.export)
        return [
            path
            for path in self.table.lake.files()
            if path.startswith(f"{MONTH}={move.month:%Y-%m}/") and not path.rpartition("/")[2].startswith(live)
        ]

    def _exported(self, move: Move) -> Move:
        child = self.table.child(move.month).as_string(self.connection)
        with self.connection.transaction():
            return advance(self.connection, move, "exported", relation=child, run_id=self.run_id)

    def _verify(self, move: Move) -> Move:
        """Read the files anew and compare; else undo the move."""
        files = read_files(self.connection, move)
        try:
            found = read_back(self.table.lake.store, files, self.table.columns)
        except (ExportRefused, ObjectMissing) as error:
            self.undo(move, f"a file is not what was written: {error.message}")
            raise
        if found != move.kept:
            self.undo(move, f"read back: {found}")
            raise ExportRefused(
                f"{move.name}: what was read back from the lake is not what the warehouse has: {_told(found)}, not "
                f"{_told(move.kept or NOTHING)}",
                hint="Nothing was moved, and the files were taken out of the lake. Run again.",
            )
        with self.connection.transaction():
            return advance(
                self.connection, move, "verified", content=found,
                detail={"files": len(files), "bytes": sum(file.bytes for file in files)}, run_id=self.run_id,
            )  # fmt: skip

    def _flip(self, move: Move) -> Move:
        """Let readers take the month from the lake. What they had is compared once more: it may have been long."""
        with translated(move.name), self.connection.transaction():
            child = self.table.child(move.month)
            found = content_on_server(self.connection, child, self.table.columns, _TRUE)
            if found == move.kept:
                self.raw.release(move.month, moved_name(move.id))
                self.connection.execute(
                    "UPDATE platform.raw_content SET tier = 'lake'"
                    " WHERE system = %s AND table_name = %s AND chunk = %s",
                    (move.system, move.table, f"{move.month:%Y-%m}"),
                )
                relation = self.table.kept(move.id).as_string(self.connection)
                return advance(
                    self.connection, move, "flipped",
                    relation=relation, keep_until=self.keep_until, run_id=self.run_id,
                )  # fmt: skip
        self.undo(move, f"the month changed meanwhile: {found}")
        raise ExportRefused(
            f"{move.name} changed while it was moved: {_told(found)} instead of {_told(move.kept or NOTHING)}",
            hint="Nothing was moved. The next run begins anew.",
        )

    def drop(self, move: Move) -> Move:
        """Drop what a flipped move kept, if files and table still are what they were.

        Raises:
            ExportRefused: they are not. Nothing was dropped.
            LakeUnavailable: a file is not there.
        """
        assert move.relation is not None
        relation = self.table.kept(move.id)
        files = read_files(self.connection, move)
        with translated(move.name), self.connection.transaction():
            self.connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(relation))
            assert move.kept is not None
            columns = self.table.columns[: move.kept.columns]  # it lacks those that were added afterwards
            kept = content_on_server(self.connection, relation, columns, _TRUE)
            there = self.table.lake.files()
            missing = [file.path for file in files if there.get(file.path) != file.bytes]
            if missing:
                raise ExportRefused(
                    f"{move.name}: {len(missing)} of its {len(files)} files are not in the lake's table: {missing[0]}",
                    hint=_ANEW,
                )
            found = read_back(self.table.lake.store, files, self.table.columns)
            if kept != move.kept or found != move.content:
                raise ExportRefused(
                    f"{move.name}: the lake has {_told(found)}, and should have {_told(move.content or NOTHING)}; "
                    f"what was kept is {_told(kept)}, and was {_told(move.kept)}",
                    hint=_ANEW,
                )
            self.connection.execute(sql.SQL("DROP TABLE {}").format(relation))
            return advance(self.connection, move, "dropped", run_id=self.run_id)

    def undo(self, move: Move, why: str) -> Move:
        """Give a move up that is not flipped: its files leave the lake's table, and then the lake."""
        return give_up(self.connection, self.table, move, why, self.run_id)


def _told(content: Content) -> str:
    return f"{content.rows:,} rows ({content.hash:016x})"
