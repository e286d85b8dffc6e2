"""The JSON Schema of a catalog file, for editors: completion, descriptions, and a red line before the loader's error.

The committed ``schema.json`` is this function's result; a test holds them equal. It knows what the model knows of
fields and values, with the loader's ``defaults:`` and the short text forms. What does not belong here: contradictions
between fields, which only the loader finds.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, cast

from warehouse.catalog.model import System

#: The committed file; a catalog file names it by ``# yaml-language-server: $schema=...``.
SCHEMA = Path(__file__).parent / "schema.json"

Schema = dict[str, Any]


def catalog_json_schema() -> Schema:
    """The schema of one ``sources/<system>.yaml``, as JSON Schema 2020-12."""
    schema = System.model_json_schema(by_alias=True, mode="validation")
    definitions = cast("dict[str, Schema]", schema["$defs"])
    for definition in [schema, *definitions.values()]:
        _tidy(definition)
    table = definitions["Table"]
    # What every table must say may stand in the defaults; a description and the columns are a table's own.
    shared = sorted(set(table["required"]) - {"description", "columns"})
    defaults = copy.deepcopy(table)
    del defaults["required"]
    defaults["title"] = "Defaults"
    defaults["description"] = "Any field of a table; a table that does not say a field takes it from here."
    definitions["Defaults"] = defaults
    table["required"] = [field for field in table["required"] if field not in shared]
    schema["properties"]["defaults"] = {"$ref": "#/$defs/Defaults"}
    schema["allOf"] = [_required_unless_default(field) for field in shared]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Catalog of one system",
    }


def rendered() -> str:
    """The text of the committed file."""
    return json.dumps(catalog_json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _tidy(definition: Schema) -> None:
    """Refuse keys that match no pattern, and leave out defaults that are no text a file would say."""
    for field in cast("dict[str, Schema]", definition.get("properties", {})).values():
        if "patternProperties" in field:
            field["additionalProperties"] = False
        if isinstance(field.get("default"), dict):
            del field["default"]


def _required_unless_default(field: str) -> Schema:
    """Each table says the field, if the defaults do not."""
    return {
        "if": {"not": {"required": ["defaults"], "properties": {"defaults": {"required": [field]}}}},
        "then": {"properties": {"tables": {"additionalProperties": {"required": [field]}}}},
    }
