"""Read what there is of a table, plan, and take each step; a step that fails is its own failure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.errors import DrivetrainError
from warehouse.lake.store import Store
from warehouse.postgres.bounds import spans_of
from warehouse.postgres.introspection import read_table
from warehouse.postgres.relations import is_filled
from warehouse.postgres.sessions import Connection, Dsn, connect, translated
from warehouse.state.moves import Move, read_moves
from warehouse.state.raw_store import RawTable
from warehouse.tiering import sql as queries
from warehouse.tiering.cooling import Cooling
from warehouse.tiering.leaving import Leaving
from warehouse.tiering.plan import Facts, HotMonth, Step, WarmMonth, plan_table
from warehouse.tiering.table import Tiered, lock, tiered


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


@dataclass(frozen=True)
class Places:
    """Where a system's tables are.

    Attributes:
        source: the operational database, for a member of the tables' owner; None where nothing leaves it.
        warehouse: the warehouse.
        lake: root of the cold tier.
    """

    source: Dsn | None
    warehouse: Dsn
    lake: Store


def read_facts(source: Connection | None, warehouse: Connection, system: System, table: Tiered) -> Facts:
    """What there is of a table."""
    return Facts(
        hot=_hot(source, system, table) if source is not None else {},
        warm=_warm(warehouse, table),
        moves=read_moves(warehouse, system.system, table.name),
        referenced_by=[]
        if source is None
        else [
            f"{name} of {schema}.{other}"
            for name, schema, other in source.execute(
                queries.REFERENCED_BY, (sql.Identifier(*system.source_of(table.name)).as_string(source),)
            )
        ],
    )


def _hot(source: Connection, system: System, table: Tiered) -> dict[dt.date, HotMonth]:
    schema, name = system.source_of(table.name)
    live = read_table(source, schema, name)
    if live is None or live.strategy != "range":
        return {}
    parent = sql.Identifier(schema, name).as_string(source)
    sizes = {(row[0], row[1]): (row[2], row[3]) for row in source.execute(queries.SIZES, (parent,))}
    partitions = {partition.name: partition for partition in live.partitions if partition.level == 1}
    found: dict[dt.date, HotMonth] = {}
    for each, span in spans_of(live).items():
        partition = partitions[each]
        rows, size = sizes.get((partition.schema, partition.name), (0, 0))
        filled = is_filled(source, sql.Identifier(partition.schema, partition.name))
        whole = span.period == "month" and partition.leaf
        found.setdefault(span.start.date().replace(day=1), HotMonth(partition, rows, size, filled, whole))
    return found


def _warm(warehouse: Connection, table: Tiered) -> dict[dt.date, WarmMonth]:
    live = read_table(warehouse, table.system.raw_schema, table.name)
    if live is None:
        return {}
    parent = sql.Identifier(table.system.raw_schema, table.name).as_string(warehouse)
    sizes = {row[1]: (row[2], row[3]) for row in warehouse.execute(queries.SIZES, (parent,))}
    return {
        span.start.date(): WarmMonth(
            *sizes.get(name, (0, 0)), is_filled(warehouse, sql.Identifier(table.system.raw_schema, name))
        )
        for name, span in spans_of(live).items()
    }


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
                with translated(f"{system.system}.{name} {step.month:%Y-%m}"):
                    move = _take(places, source, warehouse, table, facts, step, at + keep, run_id)
                done.append(Done(step, move))
            except DrivetrainError as error:
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
