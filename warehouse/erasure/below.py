"""Erase persons below the source: look what there is of them, and take it out, of one table in one pass.

What does not belong here: the source's own rows, whose the rows are (``scope``), and who may ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from contextlib import ExitStack
from typing import Any

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.erasure.cold import Cold, look_cold
from warehouse.erasure.kept import Kept, look_kept
from warehouse.erasure.marking import Marking, unquoted
from warehouse.erasure.passing import Found, Passing
from warehouse.erasure.replacing import Replacement
from warehouse.erasure.warm import erase_warm, look_warm
from warehouse.errors import CatalogMismatch
from warehouse.postgres.introspection import read_table
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.state.erased import Erased, Pass, read_erased
from warehouse.state.raw_store import RawTable
from warehouse.state.tiered import Places, Tiered, lock, tiered

_APPLICATION = "drivetrain erasure"


def look_below(
    warehouse: Connection,
    table: Tiered,
    about: Mapping[str, Set[str]],
    replacement: Replacement | None = None,
    source: Connection | None = None,
) -> list[Found]:
    """Rows about persons that each tier has of a table, exactly; nothing is changed.

    Args:
        warehouse: a canonical session.
        table: which.
        about: by subject column, the values that lead to the persons, as text.
        replacement: what would become of them; rows of which nothing would change are not counted. None: they would go.
        source: a canonical session that sees all rows, for what left the source and is kept there.

    Raises:
        CatalogMismatch: values do not fit their columns.
        ConfigurationError: something is kept at the source, and nobody said where that is.
        LakeUnavailable: the lake does not answer.
    """
    marking = Marking(table.policy, table.columns, about, replacement)
    if not marking.wanted:
        return []
    with translated(table.where), unquoted(table.where):
        found = [
            *look_warm(_raw(warehouse, table), marking),
            *look_kept(warehouse, source, table, marking),
            *look_cold(warehouse, table, marking),
        ]
    return sorted(found, key=lambda each: (str(each.month or ""), each.tier))


def erase_below(
    places: Places,
    system: System,
    name: str,
    about: Mapping[str, Set[str]],
    batch: str,
    replacement: Replacement | None = None,
    *,
    permitted: Callable[[Connection], None] | None = None,
    run_id: str | None = None,
    lake: bool = True,
) -> list[Erased]:
    """Take every row about persons out of a table below its source, or the persons out of the rows; all in one pass.

    It may be cut off anywhere; the same call again ends it. A move into the lake that was under way is given up: its
    month is warm, and goes there again.

    Args:
        places: where it is; the source, if months of it may be kept there.
        system, name: whose table.
        about: of all persons of all requests of the pass, by subject column.
        batch: what the pass is noted as, without an identifier.
        replacement: what becomes of the rows; None: they go.
        permitted: is called in each transaction of the warehouse that erases; what it raises undoes that.
        run_id: noted in the ledger.
        lake: months in the lake are written anew, too; else no month goes there meanwhile, and those that are wait.

    Returns:
        The records of what this pass noted.

    Raises:
        Busy: an ingestion or a move of the table is running.
        CatalogMismatch: the warehouse does not have the table, or values do not fit their columns.
        ConfigurationError: something is kept at the source, and nobody said where that is.
        ExportRefused: a tier is not what the ledger says; nothing of it went.
        LakeUnavailable: the lake does not answer; the next run goes on.
    """
    with ExitStack() as opened:
        warehouse = opened.enter_context(connect(places.warehouse, application=_APPLICATION))
        source = None
        if places.source is not None and system.tables[name].tiers.hot is not None:
            source = opened.enter_context(connect(places.source, see_all_rows=True, application=_APPLICATION))
        opened.enter_context(translated(f"{system.system}.{name}"))
        table = tiered(warehouse, system, name, places.lake)
        lock(warehouse, table)
        known = {each.id for each in read_erased(warehouse, system.system, name)}
        marking = Marking(table.policy, table.columns, about, replacement)
        passing = Passing(
            warehouse, table, _raw(warehouse, table), marking, Pass(batch, system.system, name, run_id),
            (lambda: permitted(warehouse)) if permitted is not None else (lambda: None),
        )  # fmt: skip
        _drop_remnants(warehouse, table)
        Kept(passing, source).erase()
        erase_warm(passing)
        cold = Cold(passing, places.warehouse)
        cold.give_up_moves()
        if lake:
            cold.erase()
        return [each for each in read_erased(warehouse, system.system, name) if each.id not in known]


def _raw(warehouse: Connection, table: Tiered) -> RawTable:
    live = read_table(warehouse, table.system.raw_schema, table.name)
    if live is None:
        raise CatalogMismatch(f"{table.raw} is not in the warehouse", hint="Ingest it first.")
    return RawTable.of(warehouse, table.system, table.name, live.columns)


def _drop_remnants(warehouse: Connection, table: Tiered) -> None:
    """Rows of the lake that a run was bringing into the warehouse when it was cut off."""
    rows: list[tuple[Any, ...]] = warehouse.execute(
        "SELECT c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " JOIN platform.tier_move AS m ON c.relname IN ('back_' || m.id, 'erased_' || m.id)"
        " WHERE n.nspname = %s AND c.relkind = 'r' AND m.system = %s AND m.table_name = %s",
        (table.system.raw_schema, table.system.system, table.name),
    ).fetchall()
    for (name,) in rows:
        warehouse.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(table.system.raw_schema, name)))
