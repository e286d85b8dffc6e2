"""Which tables a run is about: those whose policy makes them fit for it, or those of them that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warehouse.catalog import Catalog
from warehouse.catalog.model import System, Table
from warehouse.errors import ConfigurationError, listed


def choose_tables(
    catalog: Catalog, fits: Callable[[Table], bool], kind: str, asked: Sequence[str]
) -> list[tuple[System, str]]:
    """Tables whose policy fits; of those asked for by ``system`` or ``system.table``, if any are.

    Args:
        catalog: whose tables.
        fits: whether a policy does.
        kind: what such a table is, for a person: ``table with tiers``.
        asked: names.

    Raises:
        ConfigurationError: there is no such system or table, or its policy does not fit.
    """
    every = [
        (system, name) for system in catalog.systems.values() for name, table in system.tables.items() if fits(table)
    ]
    known = {f"{system.system}.{name}" for system, name in every}
    for text in asked:
        if text not in known and text not in {system.system for system, _ in every}:
            why = "its policy says nothing of that" if catalog.has(text) else "it is not in the catalog"
            raise ConfigurationError(f"{text!r} is no {kind}: {why}", hint=f"Those are: {listed(sorted(known), text)}.")
    return [
        (system, name)
        for system, name in every
        if not asked or f"{system.system}.{name}" in asked or system.system in asked
    ]
