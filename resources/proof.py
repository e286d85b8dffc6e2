"""The proof over every table that is kept by month."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from resources.settings import Settings
from warehouse.catalog import Catalog
from warehouse.catalog.model import System
from warehouse.errors import ConfigurationError
from warehouse.postgres.sessions import connect, translated
from warehouse.proof.conservation import TableProof, prove_table


def provable_tables(catalog: Catalog, asked: Sequence[str] = ()) -> list[tuple[System, str]]:
    """The tables that are kept by month; of those asked for by ``system`` or ``system.table``, if any are.

    Raises:
        ConfigurationError: there is no such system or table, or it is not kept by month.
    """
    every = [
        (system, name)
        for system in catalog.systems.values()
        for name, table in system.tables.items()
        if table.ingest.mode == "partition"
    ]
    known = {f"{system.system}.{name}" for system, name in every} | {system.system for system, _ in every}
    for text in asked:
        if text not in known:
            raise ConfigurationError(
                f"{text!r} is no table that is kept by month", hint=f"Those are: {', '.join(sorted(known)) or 'none'}."
            )
    return [
        (system, name)
        for system, name in every
        if not asked or f"{system.system}.{name}" in asked or system.system in asked
    ]


def prove(
    settings: Settings,
    tables: Sequence[tuple[System, str]],
    *,
    deep: bool,
    tell: Callable[[str], None] | None = None,
) -> list[TableProof]:
    """Hold each table's months against the ledger."""
    found: list[TableProof] = []
    dsn, lake = settings.warehouse(), settings.lake()
    with connect(dsn, application="drivetrain prove") as connection:
        for system, name in tables:
            if tell is not None:
                tell(f"{system.system}.{name}")
            with translated(f"{system.system}.{name} (proof)"):
                found.append(prove_table(connection, dsn, system, name, lake, deep=deep))
    return found
