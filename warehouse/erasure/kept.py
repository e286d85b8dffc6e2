"""Erase persons from what moves keep aside until it is dropped: in the warehouse, and at the source.

What is kept is compared with the ledger when it is dropped: so the ledger is told what it has now. At the source that
takes two transactions on two servers. The record of what is to go comes first; whoever finds one that was begun sees by
the rows whether they went.

What does not belong here: which rows (``marking``), and when what is kept is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import errors, sql

from warehouse.catalog.naming import left_name
from warehouse.erasure.marking import Marking, column_types, unquoted
from warehouse.erasure.passing import Found, Passing
from warehouse.erasure.remnants import swept
from warehouse.erasure.warm import count_rows, take_rows
from warehouse.errors import Busy, ConfigurationError, ExportRefused
from warehouse.lake.columns import LakeColumn
from warehouse.lake.content import NOTHING, Content, content_on_server
from warehouse.postgres.locks import attempt
from warehouse.postgres.relations import is_filled, is_there
from warehouse.postgres.sessions import Connection, translated
from warehouse.state.erased import Erased, begin_erased, end_erased, forget_begun, read_erased
from warehouse.state.moves import Move, amend_kept, read_moves
from warehouse.state.tiered import Tiered

_TRUE = sql.SQL("true")
_ATTEMPTS, _LOCK_TIMEOUT, _PAUSE = 30, 200, 0.5
_WHY = "rows of it were erased"


def look_kept(warehouse: Connection, source: Connection | None, table: Tiered, marking: Marking) -> list[Found]:
    """Rows that are kept aside, by month.

    Raises:
        ConfigurationError: something is kept at the source, and nobody said where that is.
    """
    found: list[Found] = []
    for move in keeping(warehouse, table, "warm"):
        if is_there(warehouse, table.kept(move.id)):
            found.append(Found("kept", move.month, count_rows(warehouse, table.kept(move.id), marking)))
    for move in keeping(warehouse, table, "hot"):
        with translated(f"{move.name} (source)"):
            if is_there(_needed(source, move), left_of(table, move)):
                found.append(
                    Found("left", move.month, count_rows(_needed(source, move), left_of(table, move), marking))
                )
    return [each for each in found if each.rows]


def keeping(warehouse: Connection, table: Tiered, tier: str) -> list[Move]:
    """Moves out of a tier that may keep something there."""
    moves = read_moves(warehouse, table.system.system, table.name)
    return [each for each in moves if each.from_tier == tier and each.state in ("planned", "detached", "flipped")]


def _needed(source: Connection | None, move: Move) -> Connection:
    if source is None:
        raise ConfigurationError(
            f"{move.name} is kept at its source until it is dropped, and persons must be erased there",
            hint="Name the source's maintenance DSN.",
        )
    return source


def left_of(table: Tiered, move: Move) -> sql.Identifier:
    """What left the source, there."""
    return sql.Identifier(table.system.source_of(table.name)[0], left_name(move.id))


@dataclass(frozen=True)
class Kept:
    """One pass over what moves of one table keep.

    Attributes:
        passing: over the table.
        source: a session of a member of the table's owner, in autocommit, that sees all rows; None where nothing left.
    """

    passing: Passing
    source: Connection | None

    def erase(self) -> None:
        """Take every such row out of what is kept.

        Raises:
            Busy: a lock was not to be had.
            ExportRefused: what left the source is not what the ledger says; nothing of it went.
            ConfigurationError: something is kept at the source, and nobody said where that is.
        """
        passing = self.passing
        for move in keeping(passing.warehouse, passing.table, "warm"):
            if is_there(passing.warehouse, passing.table.kept(move.id)):
                self._in_warehouse(move)
        for each in self._begun("kept"):
            relation = passing.table.kept(each.move or 0)
            if is_there(passing.warehouse, relation):
                swept(passing.warehouse, relation)
            with passing.warehouse.transaction():
                end_erased(passing.warehouse, each.id, {"looked_for": "rows that are kept", "left": 0})
        moves = {move.id: move for move in keeping(passing.warehouse, passing.table, "hot")}
        for each in self._begun("left"):
            self._resume(each, moves.get(each.move or 0))
        for number in moves:  # read anew: what was resumed has changed it
            move = next(each for each in keeping(passing.warehouse, passing.table, "hot") if each.id == number)
            if is_there(_needed(self.source, move), left_of(passing.table, move)):
                self._at_source(_needed(self.source, move), move)

    def _begun(self, tier: str) -> Iterator[Erased]:
        for each in read_erased(self.passing.warehouse, self.passing.run.system, self.passing.run.table):
            if each.tier == tier and not each.done:
                yield each

    def _in_warehouse(self, move: Move) -> None:
        passing = self.passing
        connection, relation = passing.warehouse, passing.table.kept(move.id)
        condition = passing.marking.condition(column_types(connection, relation))
        with translated(move.name), unquoted(move.name), connection.transaction():
            if not is_filled(connection, relation, condition):
                return
            passing.permitted()
            assert move.kept is not None
            columns = passing.table.columns[: move.kept.columns]
            gone, became = take_rows(connection, relation, columns, passing.marking)
            begin_erased(connection, passing.run, move.month, "kept", gone, became, move=move.id)
            amend_kept(connection, move, move.kept - gone + became, _WHY, passing.run.run_id)

    def _stored(self, source: Connection, move: Move) -> list[LakeColumn]:
        """Columns that what left has: not those that were added afterwards."""
        names = column_types(source, left_of(self.passing.table, move))
        return [column for column in self.passing.table.columns if column.name in names]

    def _at_source(self, source: Connection, move: Move) -> None:
        passing, relation = self.passing, left_of(self.passing.table, move)
        types = column_types(source, relation)
        where = f"{move.name} (source)"
        with translated(where), unquoted(where):
            if not is_filled(source, relation, passing.marking.condition(types)):
                return
            columns = self._stored(source, move)
            condition = passing.marking.condition(types)
            gone, became = content_on_server(source, relation, columns, condition), NOTHING
            if passing.marking.replacement is not None:
                became = content_on_server(source, passing.marking.select(relation, types), columns, _TRUE)
            with passing.warehouse.transaction():
                passing.permitted()
                number = begin_erased(passing.warehouse, passing.run, move.month, "left", gone, became, move=move.id)
            try:
                attempt(
                    source, lambda: self._unguarded(source, relation, columns, (gone, became)),
                    lock_timeout=_LOCK_TIMEOUT, attempts=_ATTEMPTS, pause=_PAUSE,
                )  # fmt: skip
            except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
                raise Busy(
                    f"{move.name}: no lock in {_ATTEMPTS} attempts: {error.diag.message_primary}",
                    hint="Nothing was changed. End the long transaction (pg_stat_activity); the next run goes on.",
                ) from error
            self._end(source, move, number, gone, became)

    def _unguarded(
        self, source: Connection, relation: sql.Identifier, columns: list[LakeColumn], due: tuple[Content, Content]
    ) -> None:
        """In one transaction of the source: its guard refuses every change but this one."""
        run = source.execute
        run(sql.SQL("ALTER TABLE {} DISABLE TRIGGER drivetrain_guard").format(relation))
        for name in self.passing.marking.changed:  # it is no longer the source's, and may lack what that demands
            run(
                sql.SQL("ALTER TABLE {} ALTER {} DROP NOT NULL").format(relation, sql.Identifier(name))
            ) if name in self._nullable(source, relation) else None
        if take_rows(source, relation, columns, self.passing.marking) != due:
            raise ExportRefused(f"{relation.as_string(source)} changed meanwhile", hint="Nothing was changed.")
        run(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER drivetrain_guard").format(relation))

    def _nullable(self, source: Connection, relation: sql.Identifier) -> set[str]:
        """Columns that need not have a value and can be let off: those of no primary key."""
        rows = source.execute(
            "SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = %s::regclass AND a.attnotnull"
            " AND a.attnum > 0 AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = a.attrelid"
            " AND i.indisprimary AND a.attnum = ANY(i.indkey::int2[]))",
            (relation.as_string(source),),
        )
        return {name for (name,) in rows}

    def _end(self, source: Connection, move: Move, number: int, gone: Content, became: Content) -> None:
        passing = self.passing
        swept(source, left_of(passing.table, move))
        with passing.warehouse.transaction():
            if move.kept is not None:
                amend_kept(passing.warehouse, move, move.kept - gone + became, _WHY, passing.run.run_id)
            end_erased(passing.warehouse, number, {"looked_for": "rows that left the source", "left": 0})

    def _resume(self, each: Erased, move: Move | None) -> None:
        """What was begun at the source either came to pass there or did not."""
        passing = self.passing
        if move is None or not is_there(_needed(self.source, move), left_of(passing.table, move)):
            with passing.warehouse.transaction():  # it was dropped meanwhile, with those rows in it
                forget_begun(passing.warehouse, each.id)
            return
        source = _needed(self.source, move)
        with translated(f"{move.name} (source)"):
            pending = is_filled(
                source, left_of(passing.table, move),
                passing.marking.condition(column_types(source, left_of(passing.table, move))),
            )  # fmt: skip
            found = content_on_server(source, left_of(passing.table, move), self._stored(source, move), _TRUE)
        if found == move.kept or (move.kept is None and pending):
            with passing.warehouse.transaction():
                forget_begun(passing.warehouse, each.id)
        elif move.kept is None or found == move.kept - each.gone + each.made:
            self._end(source, move, each.id, each.gone, each.made)
        else:
            raise ExportRefused(
                f"{move.name}: {found.rows:,} rows are kept at the source, and the ledger says {move.kept.rows:,}",
                hint="Nothing was changed. `drivetrain prove --deep` says more.",
            )
