"""Months that the warehouse lacks, over every table that is ingested by month."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from resources.settings import Settings
from warehouse.catalog.model import System
from warehouse.ingest.gaps import Gap, find_gaps
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.state.content import read_content
from warehouse.state.ledger import read_agreed_scopes
from warehouse.state.moves import months_in_lake, months_that_left


def gaps(settings: Settings, tables: Sequence[tuple[System, str]], today: dt.date) -> list[Gap]:
    """The gaps of some tables."""
    with connect(settings.warehouse(), read_only=True) as connection, translated("the warehouse"):
        return [gap for system, name in tables for gap in gaps_of(connection, system, name, today)]


def gaps_of(connection: Connection, system: System, name: str, today: dt.date) -> list[Gap]:
    """The gaps of one table; none, if it is not ingested by month."""
    if system.tables[name].ingest.mode != "partition":
        return []
    whose = (connection, system.system, name)
    return find_gaps(
        system.system, name,
        starts=system.history_starts, today=today, scopes=read_agreed_scopes(*whose), known=read_content(*whose),
        elsewhere=months_that_left(*whose) | months_in_lake(*whose),
    )  # fmt: skip
