"""What a column or table of a source reaches: models, their contracts, exposures. Read from the manifest and lineage.

What does not belong here: how lineage is found (``lineage``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reach:
    """What stands on a column, or on a table.

    Attributes:
        columns: of models that are made from the column, ``marts.fct_deliveries.distance_km``; of none, if a whole
            table is asked for.
        models: all that stand on the table, by name: any may filter or join by the column.
        contracts: of these, those whose columns and types are promised.
        exposures: who uses them.
    """

    columns: tuple[str, ...]
    models: tuple[str, ...]
    contracts: tuple[str, ...]
    exposures: tuple[str, ...]


def reach(
    manifest: Mapping[str, Any],
    made_from: Mapping[str, Mapping[str, Sequence[Sequence[str]]]],
    schema: str,
    table: str,
    column: str | None = None,
) -> Reach:
    """Everything downstream of a raw table, or of a column of it.

    Args:
        manifest: of the project.
        made_from: which columns of its parents each column of a model is made from (``ColumnLineages``).
        schema, table: of the raw table.
        column: of it; None: the table.
    """
    roots = [
        key for key, node in manifest["sources"].items() if (node["schema"], node["identifier"]) == (schema, table)
    ]
    below = _below(manifest, roots)
    models = {key: manifest["nodes"][key] for key in below if key in manifest["nodes"] and key.startswith("model.")}
    exposures = [manifest["exposures"][key]["name"] for key in below if key in manifest.get("exposures", {})]
    contracts = [node["name"] for node in models.values() if node["config"].get("contract", {}).get("enforced")]
    columns = [] if column is None else _columns(models, made_from, (schema, table, column))
    names = sorted(node["name"] for node in models.values())
    return Reach(tuple(columns), tuple(names), tuple(sorted(contracts)), tuple(sorted(exposures)))


def read_lineage(file: Path) -> Mapping[str, Mapping[str, Sequence[Sequence[str]]]]:
    """What builds have found so far; nothing before the first."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))["models"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _below(manifest: Mapping[str, Any], roots: Collection[str]) -> list[str]:
    """All nodes that stand on some, near ones first."""
    found, waiting = dict[str, None](), list(roots)
    while waiting:
        for child in manifest["child_map"].get(waiting.pop(0), ()):
            if child not in found:
                found[child] = None
                waiting.append(child)
    return list(found)


def _columns(
    models: Mapping[str, Mapping[str, Any]],
    made_from: Mapping[str, Mapping[str, Sequence[Sequence[str]]]],
    origin: tuple[str, str, str],
) -> list[str]:
    """Columns of the models that are made from one, over whatever is between."""
    reached = {origin: None}
    before = 0
    while before < len(reached):  # models come in no order that could be relied on
        before = len(reached)
        for key, node in models.items():
            for name, origins in made_from.get(key, {}).items():
                if any(tuple(each) in reached for each in origins):
                    reached[node["schema"], node["alias"], name] = None
    return [".".join(each) for each in reached if each != origin]
