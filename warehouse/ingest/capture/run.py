"""Read a source's log to its end and apply it, stretch by stretch.

The slot is there before a table is compared, so that no change falls between; the comparison's snapshot says which
transactions it has seen, so that none is applied twice. A stretch is applied table by table, each in one transaction
with its position; then the slot may forget it. So a crash leaves no table behind its slot: what is told again and was
applied is passed over.

A table that cannot follow is compared anew, and does not hold the log: its changes are what the comparison finds.
What does not belong here: what a stretch amounts to (``stretch``), and the rows themselves (``state.raw_changes``).
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from warehouse.catalog.model import System
from warehouse.errors import Busy, CatalogMismatch, ConfigurationError, DrivetrainError, TransientError
from warehouse.ingest.apply import LOCK_TIMEOUT, ingest_table
from warehouse.ingest.capture.folding import Net
from warehouse.ingest.capture.stretch import Followed, Stretch
from warehouse.ingest.snapshot import open_snapshot
from warehouse.ingest.source import refuse_other
from warehouse.postgres.carriage import Format
from warehouse.postgres.introspection import LiveTable, read_table
from warehouse.postgres.sessions import Connection, Dsn, connect, translated
from warehouse.postgres.slots import (
    advance_slot,
    check_publication,
    create_slot,
    drop_slot,
    peek,
    read_log_server,
    read_slot_state,
    refuse_without_log,
)
from warehouse.postgres.visibility import Seen
from warehouse.state.capture import (
    Position,
    Slot,
    demand_comparison,
    keep_positions,
    lock_capture,
    lsn_text,
    read_positions,
    read_slot,
    write_applied,
    write_slot,
)
from warehouse.state.content import Content, amend_content, read_content, record_content
from warehouse.state.ledger import LoadRecord, Origin, record_load
from warehouse.state.migrate import migrate
from warehouse.state.moves import months_in_lake, months_that_left
from warehouse.state.raw_changes import Applied, NotAtHand, RowChanges, apply_changes
from warehouse.state.raw_store import RawTable

log = logging.getLogger(__name__)

APPLICATION = "drivetrain capture"
#: Messages of the log that are folded at a time, at least one transaction.
STRETCH = 200_000


@dataclass(frozen=True)
class TableCaptured:
    """What became of one table.

    Attributes:
        changes: that the log told.
        rows: inserted, changed or deleted in the warehouse by them.
        kept_out: rows of erased persons that were not let in.
        compared: why it was compared with the source first; None: it was not.
        error: why it is not up to date; None: it is.
    """

    changes: int = 0
    rows: int = 0
    kept_out: int = 0
    compared: str | None = None
    error: DrivetrainError | None = None


@dataclass(frozen=True)
class Captured:
    """What one run of a system's capture did.

    Attributes:
        tables: by name, all that are captured.
        upto: position that the log was read to.
        committed_at: at the source, of the last transaction that was read.
        retained: bytes of log that the source kept for it when it began.
        dropped: that the slot was over its budget, and was given up and made anew.
        seconds: wall-clock time.
    """

    tables: Mapping[str, TableCaptured]
    upto: int
    committed_at: dt.datetime | None
    retained: int
    dropped: bool
    seconds: float


def publication_of(system: System) -> str:
    """Name of a system's publication, and of its slot."""
    return f"drivetrain_{system.system}"


def captured_tables(system: System) -> list[str]:
    """Those whose policy says so."""
    return [name for name, table in system.tables.items() if table.ingest.capture]


def capture_changes(
    primary: Dsn, log_of: Dsn, warehouse: Dsn, system: System, *, run_id: str | None = None, stretch: int = STRETCH
) -> Captured:
    """Bring the captured tables of a system to where its log is now.

    Args:
        primary: the source, as who reads its tables.
        log_of: the same, as who reads its log.
        warehouse: where to.
        system: whose tables.
        run_id: noted in the ledger.
        stretch: messages of the log that are applied at a time.

    Raises:
        ConfigurationError: nothing is captured, the source's log cannot be read, or its publication tells too little.
        Busy: another capture of the system is running, or the slot is being read or cannot begin.
        ServerUnavailable, AccessDenied: of either server.
    """
    started = time.monotonic()
    where = f"{system.system} (capture)"
    if not (names := captured_tables(system)):
        raise ConfigurationError(
            f"{system.system}: no table is captured",
            hint="Write `ingest: {..., capture: true}` for some in the catalog.",
        )
    with (
        connect(log_of, application=APPLICATION) as source,
        connect(warehouse, application=APPLICATION) as target,
        translated(where),
    ):
        migrate(target)
        if not lock_capture(target, system.system):
            raise Busy(f"{where}: another one is running", hint="Nothing was changed. Run again.")
        keep_positions(target, system.system, names)
        run = _Run(where, primary, warehouse, source, target, system, names, run_id, stretch)
        retained, dropped = run.open()
        run.compare()
        upto = run.follow()
        run.compare()  # what could not follow
        slot = read_slot(target, system.system)
    return Captured(run.done, upto, slot.committed_at if slot else None, retained, dropped, time.monotonic() - started)


class _Run:
    """One run; sessions of both sides are in autocommit."""

    def __init__(
        self, where: str, primary: Dsn, warehouse: Dsn, source: Connection, target: Connection, system: System,
        names: Collection[str], run_id: str | None, stretch: int,
    ) -> None:  # fmt: skip
        self.where, self.primary, self.warehouse = where, primary, warehouse
        self.source, self.target, self.system, self.run_id, self.stretch = source, target, system, run_id, stretch
        self.done = {name: TableCaptured() for name in names}
        self.slot = Slot(publication_of(system), "", 0)
        self.lives: dict[str, LiveTable] = {}

    def open(self) -> tuple[int, bool]:
        """A slot that begins where the platform is, or anew.

        Returns:
            Bytes of log that it retained, and whether it was given up for that.
        """
        server = read_log_server(self.source)
        refuse_without_log(self.where, server)
        check_publication(self.source, self.where, self.slot.name, [self.system.source_of(name) for name in self.done])
        known, state = read_slot(self.target, self.system.system), read_slot_state(self.source, self.slot.name)
        budget = self.system.capture.retained_mb * 1_000_000
        retained = 0 if state is None else state.retained
        over = state is not None and state.retained > budget and self.system.capture.over == "give_up"
        why = None
        if state is None:
            why = "it was not captured before" if known is None else "the source's slot is gone"
        elif state.lost:
            why = "the source has thrown the log away"
        elif over:
            why = f"the source kept more than {self.system.capture.retained_mb} MB of log"
        elif known is None or known.server != server.identity:
            why = "the slot is not one of the platform's, or of another server or timeline"
        elif state.confirmed > known.advanced_to:
            why = "somebody else has read the slot"
        if why is None:
            assert known is not None
            self.slot = known
            return retained, False
        log.warning("%s: begins anew: %s", self.where, why)
        demand_comparison(self.target, self.system.system, why)
        if state is not None:
            drop_slot(self.source, self.where, self.slot.name)
        begins = create_slot(self.source, self.where, self.slot.name)
        self.slot = Slot(self.slot.name, server.identity, begins)
        with self.target.transaction():
            write_slot(self.target, self.system.system, self.slot)
            write_applied(self.target, self.system.system, list(self.done), begins, None)
        return retained, over

    def compare(self) -> None:
        """Tables that have to be compared with the source first, under one snapshot of the primary."""
        wanted = {
            n: p.compare for n, p in self._positions().items() if p.compare is not None and not self.done[n].error
        }
        if not wanted:
            return
        with open_snapshot(self.primary) as snapshot:
            for name, why in sorted(wanted.items()):
                self.done[name] = replace(self.done[name], compared=why)
                try:
                    ingest_table(snapshot, self.warehouse, self.system, name, run_id=self.run_id)
                except DrivetrainError as error:
                    self.done[name] = replace(self.done[name], error=error)

    def follow(self) -> int:
        """Apply the log up to where it is now; returns that position."""
        upto = read_log_server(self.source).flushed
        ((visible,),) = self.source.execute("SELECT pg_current_snapshot()::text").fetchall()  # now: not before ``upto``
        while True:
            positions = {n: p for n, p in self._positions().items() if p.compare is None and self._look(n)}
            stretch = self._read(positions, upto, Seen.of(visible))
            to_its_end = stretch.messages < self.stretch and not stretch.held_back
            end = max(upto, stretch.end) if to_its_end else stretch.end
            for name in sorted(positions):
                self._take(name, stretch, end, visible)
            advanced = self._forget(end, stretch.committed_at, to_its_end)
            if to_its_end or stretch.held_back or not advanced:
                return end

    def _positions(self) -> dict[str, Position]:
        return {n: p for n, p in read_positions(self.target, self.system.system).items() if n in self.done}

    def _look(self, name: str) -> bool:
        """Whether the source has a table as its policy says; else it needs a comparison, which says so again."""
        where = f"{self.system.system}.{name}"
        if name not in self.lives:
            live = read_table(self.source, *self.system.source_of(name))
            try:
                if live is None:
                    raise CatalogMismatch(f"{where}: the source has no such table", hint="Was it renamed or dropped?")
                refuse_other(where, live, self.system.tables[name])
            except CatalogMismatch as error:
                self._fail(name, error)
                return False
            self.lives[name] = live
        return True

    def _read(self, positions: Mapping[str, Position], upto: int, visible: Seen) -> Stretch:
        followed: dict[tuple[str, str], Followed] = {}
        for name, position in positions.items():
            raw = RawTable.of(self.target, self.system, name, self.lives[name].columns)
            assert position.snapshot is not None
            followed[self.system.source_of(name)] = Followed(
                f"{self.system.system}.{name}",
                raw.carriage.names,
                raw.key,
                position.applied,
                Seen.of(position.snapshot),
            )
        messages = peek(
            self.source,
            self.slot.name,
            self.slot.name,
            upto=upto,
            messages=self.stretch,
            binary=self._format() == "binary",
        )
        with closing(messages):
            return Stretch(followed, visible).read(messages)

    def _format(self) -> Format:
        """One for all: the log is told in one."""
        tables = (
            RawTable.of(self.target, self.system, name, live.columns).carriage for name, live in self.lives.items()
        )
        return "binary" if all(table.format == "binary" for table in tables) else "text"

    def _take(self, name: str, stretch: Stretch, end: int, visible: str) -> None:
        """Apply one table's part, with its position; or say why it has to be compared, or tried again."""
        source = self.system.source_of(name)
        where = f"{self.system.system}.{name}"
        if (error := stretch.failed.get(source)) is not None:
            self._fail(name, error)
            return
        net = stretch.nets.get(source)
        if net is not None and net.emptied:
            demand_comparison(self.target, self.system.system, "it was truncated", [name])
            return
        try:
            with (
                connect(self.warehouse, application=APPLICATION, lock_timeout=LOCK_TIMEOUT) as connection,
                translated(f"{where} (capture)"),
            ):
                applied = self._apply(connection, name, net or Net(), end, visible)
        except NotAtHand as error:
            demand_comparison(self.target, self.system.system, str(error), [name])
            return
        except TransientError as error:
            self.done[name] = replace(self.done[name], error=error)
            return
        except DrivetrainError as error:
            self._fail(name, error)
            return
        before = self.done[name]
        self.done[name] = replace(
            before, changes=before.changes + (net.changes if net else 0), rows=before.rows + applied.rows,
            kept_out=before.kept_out + applied.kept_out,
        )  # fmt: skip

    def _apply(self, connection: Connection, name: str, net: Net, end: int, visible: str) -> Applied:
        started = time.monotonic()
        system = self.system.system
        if not net.rows:
            write_applied(connection, system, [name], end, visible)
            return Applied()
        raw = RawTable.of(connection, self.system, name, self.lives[name].columns)
        raw.lock()
        with connection.transaction():
            if not raw.is_current():
                raise NotAtHand("the raw table is not there, or has other columns than the policy")
            changes = RowChanges(
                [(each.values, each.base) for each in net.rows.values() if each is not None],
                [key for key, each in net.rows.items() if each is None],
            )
            applied = apply_changes(
                raw, changes, self._format(),
                left=months_that_left(connection, system, name), in_lake=months_in_lake(connection, system, name),
            )  # fmt: skip
            self._amend(connection, name, applied)
            reason = f"{net.changes} changes of {len(net.rows)} rows, up to {lsn_text(end)}"
            record = LoadRecord(
                "capture", "changes", reason, applied.rows, applied.bytes, time.monotonic() - started
            )  # fmt: skip
            now = dt.datetime.now(dt.UTC)
            record_load(connection, system, name, record, Origin(lsn_text(end), now, False, self.run_id))
            write_applied(connection, system, [name], end, visible)
        return applied

    def _amend(self, connection: Connection, name: str, applied: Applied) -> None:
        """What the warehouse holds of each chunk follows."""
        known = read_content(connection, self.system.system, name)
        for chunk, difference in applied.difference.items():
            held = known[chunk].held + difference if chunk in known else difference
            if chunk in known:
                amend_content(connection, self.system.system, name, chunk, held)
            else:
                now = dt.datetime.now(dt.UTC)
                record_content(connection, self.system.system, name, {chunk: Content(held, None)}, now)

    def _fail(self, name: str, error: DrivetrainError) -> None:
        """Its changes are not applied; the log goes on without it, for a comparison finds what it missed."""
        log.warning("%s.%s: %s", self.system.system, name, error.message)
        self.done[name] = replace(self.done[name], error=error)
        demand_comparison(self.target, self.system.system, error.message, [name])

    def _forget(self, end: int, committed_at: dt.datetime | None, whole: bool) -> bool:
        """The slot need not tell what every table has that it is told to; whether that is all up to ``end``."""
        behind = [p.applied for p in self._positions().values() if p.compare is None]
        to = min([end, *behind])
        if to > self.slot.advanced_to:
            self.slot = replace(self.slot, advanced_to=to)
            # First: a slot that is further than is known here was read by somebody else.
            write_slot(self.target, self.system.system, self.slot)
            advance_slot(self.source, self.slot.name, to)
        if whole and to >= end:
            now = dt.datetime.now(dt.UTC)
            write_slot(self.target, self.system.system, replace(self.slot, read_at=now, committed_at=committed_at))
        return to >= end
