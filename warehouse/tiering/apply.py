"""Read what there is of a table, plan, and take each step; a step that fails is its own failure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.errors import DrivetrainError
from warehouse.postgres.bounds import spans_of
from warehouse.postgres.introspection import read_table
from warehouse.postgres.relations import UNKNOWN_SIZE, is_filled, partition_sizes, referenced_by
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.state.holds import read_holds
from warehouse.state.moves import Move, note_failure, read_moves
from warehouse.state.raw_store import RawTable
from warehouse.state.rehydrations import read_rehydrations
from warehouse.state.tiered import Places, Tiered, lock, tiered
from warehouse.tiering import sql as queries
from warehouse.tiering.cooling import Cooling
from warehouse.tiering.leaving import Leaving
from warehouse.tiering.plan import Facts, HotMonth, Step, WarmMonth, kept_until, plan_table


@dataclass(frozen=True)
class Done:
    """One step, taken or not.

    Attributes:
        step: what.
        move: as it is now; None if it did not come to one.
        failure: why it was not taken.
    """

    step: Step
    move: Move | None = None
    failure: DrivetrainError | None = None


def read_facts(source: Connection | None, warehouse: Connection, system: System, table: Tiered) -> Facts:
    """What there is of a table."""
    return Facts(
        hot=_hot(source, system, table) if source is not None else {},
        warm=_warm(warehouse, table),
        moves=read_moves(warehouse, system.system, table.name),
        referenced_by=[] if source is None else referenced_by(source, sql.Identifier(*system.source_of(table.name))),
        frozen=_frozen(warehouse, system, table),
        lag=None if source is None else _lag(source),
        back={each.month: each.until for each in read_rehydrations(warehouse, system.system, table.name)},
    )


def _frozen(warehouse: Connection, system: System, table: Tiered) -> str | None:
    for hold in read_holds(warehouse, system.system):
        if hold.subject is None and hold.table in (None, table.name):
            return f"{hold.reason} (hold {hold.id})"
    return None


def _lag(source: Connection) -> dt.timedelta | None:
    row = source.execute(queries.LAG).fetchone()
    return row[0] if row else None


def _hot(source: Connection, system: System, table: Tiered) -> dict[dt.date, HotMonth]:
    schema, name = system.source_of(table.name)
    live = read_table(source, schema, name)
    if live is None or live.strategy != "range":
        return {}
    sizes = partition_sizes(source, sql.Identifier(schema, name))
    partitions = {partition.name: partition for partition in live.partitions if partition.level == 1}
    found: dict[dt.date, HotMonth] = {}
    for each, span in spans_of(live).items():
        partition = partitions[each]
        size = sizes.get((partition.schema, partition.name), UNKNOWN_SIZE)
        filled = size.paged and is_filled(source, sql.Identifier(partition.schema, partition.name))
        whole = span.period == "month" and partition.leaf
        found.setdefault(span.start.date().replace(day=1), HotMonth(partition, size.rows, size.bytes, filled, whole))
    return found


def _warm(warehouse: Connection, table: Tiered) -> dict[dt.date, WarmMonth]:
    live = read_table(warehouse, table.system.raw_schema, table.name)
    if live is None:
        return {}
    raw = table.system.raw_schema
    sizes = partition_sizes(warehouse, sql.Identifier(raw, table.name))
    found: dict[dt.date, WarmMonth] = {}
    for name, span in spans_of(live).items():
        size = sizes.get((raw, name), UNKNOWN_SIZE)
        filled = size.paged and is_filled(warehouse, sql.Identifier(raw, name))
        found[span.start.date()] = WarmMonth(size.rows, size.bytes, filled)
    return found


def look(places: Places, system: System, name: str, at: dt.datetime) -> list[Step]:
    """What is to be done to a table; nothing is changed."""
    with ExitStack() as opened:
        warehouse = opened.enter_context(connect(places.warehouse, read_only=True, application="drivetrain tiers"))
        source = _source(opened, places, system, name)
        with translated(f"{system.system}.{name}"):
            table = tiered(warehouse, system, name, places.lake)
            return plan_table(table.policy, read_facts(source, warehouse, system, table), at)


def _source(opened: ExitStack, places: Places, system: System, name: str) -> Connection | None:
    if places.source is None or system.tables[name].tiers.hot is None:
        return None
    return opened.enter_context(connect(places.source, see_all_rows=True, application="drivetrain tiers"))


def move_table(
    places: Places,
    system: System,
    name: str,
    at: dt.datetime,
    *,
    keep: dt.timedelta,
    months: Sequence[dt.date] | None = None,
    run_id: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Done]:
    """Take every step that is due for a table.

    Args:
        places: where it is.
        system, name: whose table.
        at: the moment that ages are counted up to.
        keep: how long what moved is kept.
        months: only these.
        run_id: noted in the ledger.
        tell: is told of each step.

    Raises:
        Busy: an ingestion or another move of the table is running.
        CatalogMismatch: the warehouse does not have the table.
        ServerUnavailable: a database does not answer.
    """
    done: list[Done] = []
    with ExitStack() as opened:
        warehouse = opened.enter_context(connect(places.warehouse, application="drivetrain tiers"))
        source = _source(opened, places, system, name)
        opened.enter_context(translated(f"{system.system}.{name}"))
        table = tiered(warehouse, system, name, places.lake)
        lock(warehouse, table)
        facts = read_facts(source, warehouse, system, table)
        for step in plan_table(table.policy, facts, at):
            if step.kind in ("keep", "wait") or (months is not None and step.month not in months):
                continue
            if tell is not None:
                tell(f"{system.system}.{name} {step.month:%Y-%m}: {step.kind}")
            try:
                until = kept_until(table.policy, step.month, at + keep)
                with translated(f"{table.where} {step.month:%Y-%m}"):
                    move = _take(places, source, warehouse, table, facts, step, until, run_id)
                done.append(Done(step, move))
            except DrivetrainError as error:
                if not warehouse.closed:
                    kind = type(error).__name__
                    with translated(table.where):
                        note_failure(warehouse, system.system, name, step.month, step.from_tier, kind, run_id)
                if warehouse.closed or (source is not None and source.closed):
                    raise
                done.append(Done(step, failure=error))
    return done


def _take(
    places: Places,
    source: Connection | None,
    warehouse: Connection,
    table: Tiered,
    facts: Facts,
    step: Step,
    keep_until: dt.datetime,
    run_id: str | None,
) -> Move:
    from_hot = step.kind in ("leave", "join") or (step.move is not None and step.move.from_tier == "hot")
    if from_hot:
        assert source is not None
        live = read_table(source, *table.system.source_of(table.name))
        assert live is not None
        raw = RawTable.of(warehouse, table.system, table.name, live.columns)
        leaving = Leaving(source, places.warehouse, warehouse, table, raw, keep_until, run_id)
        if step.kind == "drop":
            assert step.move is not None
            return leaving.drop(read_moves(warehouse, step.move.system, step.move.table), step.move)
        move = step.move or leaving.start(step.month, step.part, step.reason)
        hot = facts.hot.get(step.month)
        return leaving.go_on(move, hot.partition if hot else None)
    live = read_table(warehouse, table.system.raw_schema, table.name)
    assert live is not None
    raw = RawTable.of(warehouse, table.system, table.name, live.columns)
    cooling = Cooling(places.warehouse, warehouse, table, raw, keep_until, run_id)
    if step.kind == "drop":
        assert step.move is not None
        return cooling.drop(step.move)
    return cooling.go_on(step.move or cooling.start(step.month, step.reason))
