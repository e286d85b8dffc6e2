"""Months of the lake back in the warehouse for a while, because somebody asked for them: plain SQL sees them there.

A month comes back whole and proven, counts as warm meanwhile, and goes cold again by the nightly run when its time is
over.
What does not belong here: how it comes back (``warehouse.state.returning``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from warehouse.catalog.model import System
from warehouse.errors import ConfigurationError, TooLarge, listed
from warehouse.postgres.introspection import read_table
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.state.moves import in_lake, months_in_lake, read_files
from warehouse.state.raw_store import RawTable
from warehouse.state.rehydrations import Rehydration, begin_rehydration, change_until, read_rehydrations
from warehouse.state.returning import come_back
from warehouse.state.tiered import Places, Tiered, lock, tiered


@dataclass(frozen=True)
class Request:
    """What somebody asks for.

    Attributes:
        months: first days.
        until: when they may go cold again.
        reason: why, for whoever reads the ledger.
        limit: bytes that all months that are back may take in the warehouse, of every table.
        end: ``until`` holds though they were to stay longer.
    """

    months: Sequence[dt.date]
    until: dt.datetime
    reason: str
    limit: int
    end: bool = False


def rehydrate_table(
    places: Places, system: System, name: str, request: Request, tell: Callable[[str], None] | None = None
) -> list[Rehydration]:
    """Bring months of a table back, or let those that are back stay until another time.

    Raises:
        ConfigurationError: a month is not in the lake.
        TooLarge: they would take more room than is allowed; the month that does is in the lake as it was.
        ExportRefused: what came is not what went.
        Busy: an ingestion or a move of the table is running.
        LakeUnavailable: the lake does not answer.
    """
    where = f"{system.system}.{name}"
    with connect(places.warehouse, application="drivetrain tiers") as warehouse, translated(where):
        table = tiered(warehouse, system, name, places.lake)
        lock(warehouse, table)
        back = {each.month: each.until for each in read_rehydrations(warehouse, system.system, name)}
        cold = months_in_lake(warehouse, system.system, name)
        unknown = [month for month in request.months if month not in cold | set(back)]
        if unknown:
            raise ConfigurationError(
                f"{where}: {', '.join(f'{month:%Y-%m}' for month in unknown)} is not in the lake",
                hint=f"There are: {_told(cold, unknown[0])}."
                + (f" Back already: {_told(back, unknown[0])}." if back else ""),
            )
        for month in request.months:
            if month in back:
                until = request.until if request.end else max(request.until, back[month])
                change_until(warehouse, system.system, name, month, until)
                continue
            if tell is not None:
                tell(f"{where} {month:%Y-%m}")
            _bring(places, warehouse, table, month, request)
        return [each for each in read_rehydrations(warehouse, system.system, name) if each.month in request.months]


def _told(months: Collection[dt.date], asked: dt.date) -> str:
    return listed((f"{month:%Y-%m}" for month in sorted(months)), f"{asked:%Y-%m}")


def _bring(places: Places, warehouse: Connection, table: Tiered, month: dt.date, request: Request) -> None:
    system, name = table.system.system, table.name
    move = in_lake(warehouse, system, name, month)
    live = read_table(warehouse, table.system.raw_schema, name)
    assert move is not None
    assert live is not None
    taken = sum(each.bytes for each in read_rehydrations(warehouse))
    raw = RawTable.of(warehouse, table.system, name, live.columns)

    def check(size: int) -> None:
        if taken + size > request.limit:
            raise TooLarge(
                f"{move.name} takes {size:,} bytes or more in the warehouse, and {taken:,} of {request.limit:,} are "
                "taken by months that are back",
                hint="Let others go (`drivetrain tiers rehydrate --end`), or raise DRIVETRAIN_REHYDRATE_LIMIT. "
                "`drivetrain sql` reads the month where it is.",
            )

    def note(size: int) -> None:
        """In the transaction in which the month comes back."""
        check(size)
        begin_rehydration(
            warehouse,
            system,
            name,
            month,
            request.reason,
            request.until,
            move.content.rows if move.content else 0,
            size,
        )

    check(sum(file.bytes for file in read_files(warehouse, move)))  # rows take more in the warehouse than in the lake
    come_back(places.warehouse, warehouse, table, raw, move, f"rehydrated: {request.reason}", note)
