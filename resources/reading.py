"""Queries over all tiers, with the warehouse and the lake that the settings name."""

from __future__ import annotations

from resources.opening import open_warehouse
from resources.settings import Settings
from warehouse.postgres.sessions import connect, translated
from warehouse.reading.query import Answer, run_query


def query_tiers(settings: Settings, text: str) -> Answer:
    """Answer a SELECT over ``system.table`` names, whichever tier their months are in."""
    dsn = open_warehouse(settings, read_only=True)
    with connect(dsn, read_only=True, application="drivetrain sql") as connection, translated("the query"):
        return run_query(connection, dsn, settings.catalog(), settings.lake(), text)
