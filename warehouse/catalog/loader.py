"""Read a directory of ``<system>.yaml`` files into a ``Catalog``, or refuse with every problem at once.

Errors name file, table and field. A file may have ``defaults:`` (any field of a table); a table that does not
say a field takes it from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from warehouse.catalog.model import Catalog, System
from warehouse.errors import CatalogError

#: The five systems that come with the project.
SOURCES = Path(__file__).parent / "sources"


class _UniqueKeyLoader(yaml.CSafeLoader):  # type: ignore[misc]
    """YAML silently takes the last of two equal keys; a policy that is written twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key_node.value!r} stands twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def parse_system(text: str, file: str) -> System:
    """Read one system's YAML.

    Args:
        text: the YAML document.
        file: name to report problems under.

    Raises:
        CatalogError: with every problem found, each as ``file: table.field: what is wrong``.
    """
    try:
        document = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        raise CatalogError([f"{file}: not readable as YAML: {error}"]) from None
    if not isinstance(document, dict):
        raise CatalogError([f"{file}: empty, or not a mapping"], hint="Start from `drivetrain catalog draft`.")
    content = cast("dict[str, Any]", document)
    defaults = content.pop("defaults", None) or {}
    tables = content.get("tables")
    if isinstance(tables, dict) and isinstance(defaults, dict):
        content["tables"] = {
            name: {**defaults, **table} if isinstance(table, dict) else table
            for name, table in cast("dict[str, Any]", tables).items()
        }
    try:
        system = System.model_validate(content)
    except ValidationError as error:
        raise CatalogError(
            [f"{file}: {_where(item['loc'])}: {_what(cast('dict[str, Any]', item))}" for item in error.errors()]
        ) from None
    problems = [f"{file}: {line}" for line in system.contradictions()]
    if problems:
        raise CatalogError(problems)
    return system


def load_catalog(directory: Path | None = None) -> Catalog:
    """Read every ``*.yaml`` of a directory (by default the project's own five systems).

    Raises:
        CatalogError: a file is malformed, contradicts itself, is misnamed, or there is none.
    """
    directory = directory or SOURCES
    files = sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])
    if not files:
        raise CatalogError(
            [f"{directory}: no catalog file (*.yaml)"], hint="Set DRIVETRAIN_CATALOG to a directory of them."
        )
    problems: list[str] = []
    systems: dict[str, System] = {}
    for file in files:
        try:
            system = parse_system(file.read_text(encoding="utf-8"), file.name)
        except CatalogError as error:
            problems += error.problems
            continue
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file.name}: not readable: {error}")
            continue
        if system.system != file.stem:
            problems.append(f"{file.name}: system: {system.system!r} is not the file's name")
        systems[system.system] = system
    if problems:
        raise CatalogError(problems, hint="Run `drivetrain catalog check` again when mended.")
    return Catalog(systems=systems)


def _where(location: tuple[int | str, ...]) -> str:
    """``('tables', 'riders', 'columns', 'id', 'type')`` -> ``riders.columns.id.type``."""
    parts = [str(part) for part in location if part != "[key]"]
    if parts[:1] == ["tables"] and len(parts) > 1:
        parts = parts[1:]
    return ".".join(parts) or "file"


def _what(item: dict[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "unknown field"
    message = str(item["msg"]).removeprefix("Value error, ")
    given = item.get("input")
    return f"{message} (given {given!r})" if isinstance(given, str | int | float) else message
