"""The proof that erased persons are nowhere, over the stores of the settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from resources.dbt import ensure_manifest
from resources.settings import Settings
from warehouse.proof.absence import Model, Stores, prove_absence
from warehouse.proof.absence_found import Absence
from warehouse.proof.absence_sought import FREE, Sought


def models_of(manifest: Path, systems: Collection[str]) -> dict[tuple[str, str], Model]:
    """Relations that dbt makes, by schema and name: of which system, and in which columns persons are.

    Of what is not known to be of one system nothing is said: it is looked at like a relation that nobody declared.

    Args:
        manifest: dbt's ``manifest.json``.
        systems: of the catalog.
    """
    nodes: dict[str, Any] = json.loads(manifest.read_text())["nodes"]
    found: dict[tuple[str, str], Model] = {}
    for node in nodes.values():
        if node["resource_type"] not in ("model", "snapshot", "seed"):
            continue
        model = _model(node, systems)
        if node["resource_type"] == "snapshot":  # a history of what it is made from, column by column
            origins = [_model(nodes[each], systems) for each in node["depends_on"]["nodes"] if each in nodes]
            model = Model(
                model.system or (origins[0].system if len({each.system for each in origins}) == 1 else ""),
                model.persons.union(*(each.persons for each in origins)),
                model.free.union(*(each.free for each in origins)),
            )
        if model.system:
            found[node["schema"], node["alias"]] = model
    return found


def _model(node: Any, systems: Collection[str]) -> Model:
    meta = node["config"].get("meta") or {}
    kinds = {name: _kind(column) for name, column in node["columns"].items()}
    names: list[str] = [str(meta.get("system")), *reversed(node["fqn"][1:-1])]
    named = [each for each in names if each in systems]
    return Model(
        named[0] if named else "",
        frozenset(name for name, kind in kinds.items() if kind == "person_id" or name == meta.get("person_column")),
        frozenset(name for name, kind in kinds.items() if kind in FREE),
    )


def _kind(column: Any) -> str | None:
    return ((column.get("config") or {}).get("meta") or {}).get("personal") or (column.get("meta") or {}).get(
        "personal"
    )


def verify_absence(
    settings: Settings, sought: Sequence[Sought], *, deep: bool = False, tell: Callable[[str], None] = lambda _: None
) -> Absence:
    """Look for erased persons in every store, as the verifier.

    Raises:
        ConfigurationError: nobody said who verifies.
        ServerUnavailable, LakeUnavailable, AccessDenied: a store does not answer, or refuses: nothing is proven.
    """
    stores = Stores(
        warehouse=settings.verifier(),
        sources={each.system.system: settings.primary(each.system.system) for each in sought},
        lake=settings.lake(),
        dagster=settings.verifier_of_dagster(),
        models=models_of(ensure_manifest(settings), settings.catalog().systems),
    )
    return prove_absence(sought, stores, deep=deep, tell=tell)
