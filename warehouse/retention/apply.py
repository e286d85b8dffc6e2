"""Read what there is of a table that has reached its retention, plan, and take each step; a step that fails is its own
failure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Set
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.errors import CatalogMismatch, ConfigurationError, DrivetrainError
from warehouse.postgres.bounds import spans_of
from warehouse.postgres.introspection import LiveTable, read_table
from warehouse.postgres.relations import UNKNOWN_SIZE, changed_by_deleting, partition_sizes, referenced_by
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.retention import sql as queries
from warehouse.retention.expiring import Expiring
from warehouse.retention.holding import read_held
from warehouse.retention.plan import ColdMonth, Facts, OldPartition, Step, plan_table
from warehouse.state.expiries import read_expiries
from warehouse.state.holds import holds_changed
from warehouse.state.moves import in_lake, read_files, read_moves, stale_files
from warehouse.state.raw_store import RawTable
from warehouse.state.tiered import Places, Tiered, lock, tiered

#: By how much the clocks of this machine and of the servers may differ.
_CLOCKS = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class Done:
    """One step, taken or not.

    Attributes:
        step: what.
        rows: that went.
        failure: why it was not taken.
    """

    step: Step
    rows: int = 0
    failure: DrivetrainError | None = None


def look(places: Places, system: System, name: str, at: dt.datetime) -> list[Step]:
    """What is to go from a table; nothing is changed.

    Raises:
        CatalogMismatch: source or warehouse does not have the table, or its policy is a draft.
        LegalHold: nobody can say which rows a hold keeps.
    """
    with ExitStack() as opened:
        source = opened.enter_context(_source(places, read_only=True))
        warehouse = opened.enter_context(connect(places.warehouse, read_only=True, application="drivetrain retention"))
        with translated(f"{system.system}.{name}"):
            table = tiered(warehouse, system, name, places.lake)
            return _plan(source, warehouse, table, _live(source, table), at)


def expire_table(
    places: Places,
    system: System,
    name: str,
    at: dt.datetime,
    *,
    run_id: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Done]:
    """Take every row that has reached its retention out of a table, from the source down.

    Args:
        places: where it is; the source is needed.
        system, name: whose table.
        at: the moment that ages are counted up to.
        run_id: noted in the ledger.
        tell: is told of each step.

    Raises:
        Busy: an ingestion or a move of the table is running.
        ConfigurationError: ``at`` is in the future of a server.
        CatalogMismatch: source or warehouse does not have the table, or its policy is a draft.
        LegalHold: nobody can say which rows a hold keeps.
        ServerUnavailable: a database does not answer.
    """
    done: list[Done] = []
    with ExitStack() as opened:
        source = opened.enter_context(_source(places, read_only=False))
        warehouse = opened.enter_context(connect(places.warehouse, application="drivetrain retention"))
        table = tiered(warehouse, system, name, places.lake)
        lock(warehouse, table)
        _refuse_the_future(at, source, warehouse)
        live = _live(source, table)
        raw = RawTable.of(warehouse, system, name, live.columns)
        expiring = Expiring(source, warehouse, table, raw, run_id)
        failed = False
        for step in _plan(source, warehouse, table, live, at):
            if step.kind == "wait" or (failed and (step.tier != "cold" or table.policy.tiers.hot is None)):
                continue  # what is still at the source would be ingested again
            if tell is not None:
                tell(f"{table.where} {'' if step.month is None else f'{step.month:%Y-%m} '}{step.kind} ({step.tier})")
            try:
                with translated(table.where):
                    done.append(Done(step, expiring.take(step)))
            except DrivetrainError as error:
                if warehouse.closed or source.closed:
                    raise
                failed = failed or step.tier == "hot"
                done.append(Done(step, failure=error))
    return done


def _source(places: Places, *, read_only: bool) -> AbstractContextManager[Connection]:
    assert places.source is not None
    return connect(places.source, see_all_rows=True, read_only=read_only, application="drivetrain retention")


def _refuse_the_future(at: dt.datetime, *servers: Connection) -> None:
    """A clock that is far ahead would have rows deleted before their time, which nothing brings back."""
    for server in servers:
        row = server.execute("SELECT clock_timestamp()").fetchone()
        if row is not None and at > row[0] + _CLOCKS:
            raise ConfigurationError(
                f"it is {at:%Y-%m-%d %H:%M} UTC here, and {row[0]:%Y-%m-%d %H:%M} at {server.info.host}: nothing was "
                "deleted",
                hint="Set the clock of this machine or of that server. `retention plan --at` may look ahead.",
            )


def _live(source: Connection, table: Tiered) -> LiveTable:
    live = read_table(source, *table.system.source_of(table.name))
    if live is None:
        raise CatalogMismatch(f"{table.where} is not at its source", hint="`drivetrain catalog check` says more.")
    return live


def _plan(source: Connection, warehouse: Connection, table: Tiered, live: LiveTable, at: dt.datetime) -> list[Step]:
    before = table.policy.expired_before(at)
    if before is None:
        return []
    return plan_table(table.policy, read_facts(source, warehouse, table, live, before), before)


def read_facts(source: Connection, warehouse: Connection, table: Tiered, live: LiveTable, before: dt.datetime) -> Facts:
    """What there is of a table that is older than a moment: rows counted at the source and in the warehouse, files by
    the ledger.
    """
    system, name = table.system.system, table.name
    held = read_held(warehouse, table.system, name)
    relation = sql.Identifier(*table.system.source_of(name))
    return Facts(
        partitions=_partitions(source, live, table.policy.time, before),
        hot=_rows(source, relation, table, before, held.values),
        warm=_rows(warehouse, sql.Identifier(table.system.raw_schema, name), table, before, held.values),
        cold=_cold(warehouse, table, before),
        moves=read_moves(warehouse, system, name),
        expiries=read_expiries(warehouse, system, name),
        referenced_by=referenced_by(source, relation) if live.partitions else (),
        frozen=held.frozen,
        cascades=changed_by_deleting(source, relation),
        persons_held=held.persons,
        holds_changed=holds_changed(warehouse, system),
    )


def _partitions(source: Connection, live: LiveTable, time: str | None, before: dt.datetime) -> list[OldPartition]:
    if live.strategy != "range" or live.partition_columns[:1] != (time,):
        return []  # bounds of another column say nothing of a row's age
    sizes = partition_sizes(source, sql.Identifier(live.schema, live.name))
    schemas = {partition.name: partition.schema for partition in live.partitions if partition.level == 1}
    return sorted(
        (
            OldPartition(schemas[each], each, span.start, span.end, *sizes.get((schemas[each], each), UNKNOWN_SIZE)[:2])
            for each, span in spans_of(live).items()
            if span.start < before
        ),
        key=lambda each: each.start,
    )


def _rows(
    connection: Connection, relation: sql.Identifier, table: Tiered, before: dt.datetime, held: Mapping[str, Set[str]]
) -> dict[dt.date | None, int]:
    time = table.policy.time
    assert time is not None
    kind = next(column.type_name for column in table.columns if column.name == time)
    condition = sql.SQL("{} AND {}").format(queries.earlier(time, kind, before), queries.not_held(held))
    if table.policy.ingest.mode == "partition":
        return dict(connection.execute(queries.by_month(relation, time, condition)).fetchall())
    row = connection.execute(queries.counted(relation, condition)).fetchone()
    return {None: row[0] if row else 0}


def _cold(warehouse: Connection, table: Tiered, before: dt.datetime) -> dict[dt.date, ColdMonth]:
    system, name = table.system.system, table.name
    stale = stale_files(warehouse, system, name)
    found: dict[dt.date, ColdMonth] = {}
    months = {move.month for move in read_moves(warehouse, system, name)} | set(stale)
    for month in sorted(month for month in months if dt.datetime.combine(month, dt.time(), dt.UTC) < before):
        move = in_lake(warehouse, system, name, month)
        files = read_files(warehouse, move) if move is not None else []
        if files or month in stale:
            size = sum(file.bytes for file in files) or stale.get(month, (0, 0))[1]
            rows = sum(file.rows for file in files)
            found[month] = ColdMonth(move, rows, size, len(files), stale.get(month, (0, 0))[0])
    return found
