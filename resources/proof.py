"""The proof over every table that is kept by month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from resources.chosen import choose_tables
from resources.settings import Settings
from warehouse.catalog import Catalog
from warehouse.catalog.model import System
from warehouse.errors import DrivetrainError
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.proof.conservation import Finding, TableProof, prove_table


def provable_tables(catalog: Catalog, asked: Sequence[str] = ()) -> list[tuple[System, str]]:
    """The tables that are kept by month; of those asked for by ``system`` or ``system.table``, if any are.

    Raises:
        ConfigurationError: there is no such system or table, or it is not kept by month.
    """
    return choose_tables(catalog, lambda table: table.ingest.mode == "partition", "table that is kept by month", asked)


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
    with ExitStack() as opened:
        connection = opened.enter_context(connect(dsn, application="drivetrain prove"))
        sources: dict[str, Connection | DrivetrainError | None] = {}
        for system, name in tables:
            if tell is not None:
                tell(f"{system.system}.{name}")
            if system.system not in sources:
                sources[system.system] = _source(settings, system, opened)
            source = sources[system.system]
            asked = None if isinstance(source, DrivetrainError) else source
            with translated(f"{system.system}.{name} (proof)"):
                proof = prove_table(connection, dsn, system, name, lake, deep=deep, source=asked)
            if isinstance(source, DrivetrainError) and system.tables[name].tiers.hot:
                away = f"what is kept at the source was not looked at: {source.message}"
                proof.findings.append(Finding(system.system, name, None, "unfinished", away))
            found.append(proof)
    return found


def _source(settings: Settings, system: System, opened: ExitStack) -> Connection | DrivetrainError | None:
    """A session of a system's source, or why there is none; None, if no table leaves it."""
    if not any(table.tiers.hot for table in system.tables.values()):
        return None
    try:
        session = connect(
            settings.maintenance(system.system), read_only=True, see_all_rows=True, application="drivetrain prove"
        )
        return opened.enter_context(session)
    except DrivetrainError as error:
        return error
