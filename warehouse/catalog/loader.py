"""Read directories of ``<system>.yaml`` files into a ``Catalog``, or refuse with every problem at once.

Errors name file, table and field. A file may have ``defaults:`` (any field of a table); a table that does not
say a field takes it from there.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from warehouse.catalog.base import Policy
from warehouse.catalog.model import Catalog, System, Table
from warehouse.errors import CatalogError

#: The five systems that come with the project.
SOURCES = Path(__file__).parent / "sources"
_FIELDS = sorted({f.alias or name for policy in Policy.__subclasses__() for name, f in policy.model_fields.items()})


class _UniqueKeyLoader(yaml.CSafeLoader):  # type: ignore[misc]
    """YAML silently takes the last of two equal keys; a policy that is written twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is plain text", key_node.start_mark)
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
    defaults, problems = _defaults(content.pop("defaults", None))
    given = content.get("tables")
    tables = cast("dict[Any, Any]", given) if isinstance(given, dict) else {}
    if tables:
        content["tables"] = {n: {**defaults, **t} if isinstance(t, dict) else t for n, t in tables.items()}
    try:
        system = System.model_validate(content)
    except ValidationError as error:
        problems += [f"{_where(item['loc'], defaults, tables)}: {_what(item)}" for item in error.errors()]
        # What stands in the defaults is wrong once, not once per table.
        raise CatalogError([f"{file}: {line}" for line in dict.fromkeys(problems)]) from None
    if problems:
        raise CatalogError([f"{file}: {line}" for line in problems])
    problems = [f"{file}: {line}" for line in system.contradictions()]
    if problems:
        raise CatalogError(problems)
    return system


def load_catalog(*directories: Path) -> Catalog:
    """Read every ``*.yaml`` of one or several directories (by default the project's own five systems).

    Raises:
        CatalogError: a file is malformed, contradicts itself, is misnamed, a directory has none, or two files have
            the same system.
    """
    problems: list[str] = []
    files: dict[str, tuple[str, System]] = {}
    given = dict.fromkeys(directories or (SOURCES,))
    for directory in given:
        found = sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])
        if not found:
            raise CatalogError(
                [f"{directory}: no catalog file (*.yaml)"], hint="Set DRIVETRAIN_CATALOG to a directory of them."
            )
        for file in found:
            where = file.name if len(given) == 1 else str(file)
            try:
                system = parse_system(file.read_text(encoding="utf-8"), where)
            except CatalogError as error:
                problems += error.problems
                continue
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{where}: not readable: {error}")
                continue
            if system.system != file.stem:
                problems.append(f"{where}: system: {system.system!r} is not the file's name")
            elif system.system in files:
                problems.append(
                    f"{where}: system {system.system!r} has another file already: {files[system.system][0]}"
                )
            else:
                files[system.system] = where, system
    if problems:
        raise CatalogError(problems, hint="Run `drivetrain catalog check` again when mended.")
    return Catalog(systems={name: system for name, (_, system) in files.items()})


def _defaults(given: Any) -> tuple[dict[str, Any], list[str]]:
    """The fields that every table takes, and what is wrong with the names of others."""
    if given is None:
        return {}, []
    if not isinstance(given, dict):
        return {}, [f"defaults: write a mapping of table fields, e.g. {{retention: lifetime}} (given {given!r})"]
    defaults = cast("dict[Any, Any]", given)
    known = {str(field): value for field, value in defaults.items() if field in Table.model_fields}
    return known, [f"defaults.{field}: {_unknown(field)}" for field in defaults if field not in known]


#: Parts of pydantic's error locations that are no field of the file.
_NO_FIELD = {"[key]", "[range]", "[hash]", "[list]"}


def _where(location: tuple[int | str, ...], defaults: Mapping[str, Any], tables: Mapping[Any, Any]) -> str:
    """``('tables', 'riders', 'columns', 'id', 'type')`` -> ``riders.columns.id.type``."""
    parts = [str(part) for part in location if part not in _NO_FIELD]
    if parts[:1] == ["tables"] and len(parts) > 1:
        if len(parts) > 2 and parts[2] in defaults and parts[2] not in tables.get(location[1], {}):
            parts[1] = "defaults"
        parts = parts[1:]
    return ".".join(parts) or "file"


def _what(item: Mapping[str, Any]) -> str:
    """One line in the reader's words, with the value that was given."""
    kind, given, message = str(item["type"]), item.get("input"), str(item["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return _unknown(item["loc"][-1])
    if kind == "missing":
        return "missing"
    if kind in ("model_type", "model_attributes_type", "mapping_type", "dict_type"):
        message = "write a mapping, {field: value}" + _SHORT_FORMS.get(str(item.get("ctx", {}).get("class_name")), "")
    elif kind in ("tuple_type", "list_type"):
        message = "write a list, [..., ...]"
    elif kind == "string_type":
        message = "write text"
        if isinstance(given, bool) or given is None:
            message += ", in quotes: YAML reads a bare yes, no, on, off, true, false or null as something else"
    return f"{message} (given {given!r})" if isinstance(given, str | int | float) or given is None else message


#: What may stand for a mapping.
_SHORT_FORMS = {
    "Retention": ", or an age, lifetime or undecided",
    "Erasure": ", or delete, redact, no_person or undecided",
    "Subject": ", or text such as 'rider_id' or 'order_id -> orders'",
    "Age": ", or an age such as '30 days'",
}


def _unknown(field: object) -> str:
    near = difflib.get_close_matches(str(field), _FIELDS, n=1)
    return f"unknown field; did you mean {near[0]!r}?" if near else "unknown field"
