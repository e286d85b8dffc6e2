"""The proof that erased persons are nowhere, over the stores of the settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from resources.dbt import ensure_manifest
from resources.settings import Settings
from warehouse.proof.absence import Model, Stores, prove_absence
from warehouse.proof.absence_found import Absence
from warehouse.proof.absence_sought import FREE, Sought


def models_of(manifest: Path) -> dict[tuple[str, str], Model]:
    """Relations that dbt makes, by schema and name: of which system, and in which columns persons are.

    Args:
        manifest: dbt's ``manifest.json``.
    """
    nodes: dict[str, Any] = json.loads(manifest.read_text())["nodes"]
    found: dict[tuple[str, str], Model] = {}
    for node in nodes.values():
        if node["resource_type"] not in ("model", "snapshot", "seed"):
            continue
        meta = node["config"].get("meta") or {}
        folders: list[str] = node["fqn"][1:-1]
        kinds = {name: _kind(column) for name, column in node["columns"].items()}
        persons = {name for name, kind in kinds.items() if kind == "person_id" or name == meta.get("person_column")}
        found[node["schema"], node["alias"]] = Model(
            meta.get("system") or (folders[-1] if folders else ""),
            frozenset(persons),
            frozenset(name for name, kind in kinds.items() if kind in FREE),
        )
    return found


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
        models=models_of(ensure_manifest(settings)),
    )
    return prove_absence(sought, stores, deep=deep, tell=tell)
