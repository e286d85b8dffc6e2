"""The files of the dbt project that follow from the catalog: sources, staging models, and their descriptions.

What belongs here: turning a ``Catalog`` into text, and putting that text where dbt looks for it. What does
not: marts and intermediate models (written by hand in ``dbt_project``), and anything that asks a database.

A staging model names every column of its policy but the credentials, so that a column which nobody declared
never shows up in the schemas that people read, and no password hash leaves the raw schema. A table that holds
nothing but credentials has no staging model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from warehouse.catalog.base import IDENTIFIER, MAX_IDENTIFIER
from warehouse.catalog.model import Catalog, Column, System, Table
from warehouse.catalog.register import retention_text
from warehouse.errors import CatalogError

STAGING = "models/staging"
_MARK = "rendered by `drivetrain catalog render`; not edited by hand"
_YAML_MARK, _SQL_MARK = f"# {_MARK}", f"-- {_MARK}"
_WIDTH = 110

#: Words that PostgreSQL does not take as a bare column or table name (appendix C of its manual: "reserved").
RESERVED = {
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization",
    "binary", "both", "case", "cast", "check", "collate", "collation", "column", "concurrently",
    "constraint", "create", "cross", "current_catalog", "current_date", "current_role", "current_schema",
    "current_time", "current_timestamp", "current_user", "default", "deferrable", "desc", "distinct",
    "do", "else", "end", "except", "false", "fetch", "for", "foreign", "freeze", "from", "full", "grant",
    "group", "having", "ilike", "in", "initially", "inner", "intersect", "into", "is", "isnull", "join",
    "lateral", "leading", "left", "like", "limit", "localtime", "localtimestamp", "natural", "not",
    "notnull", "null", "offset", "on", "only", "or", "order", "outer", "overlaps", "placing", "primary",
    "references", "returning", "right", "select", "session_user", "similar", "some", "symmetric",
    "system_user", "table", "tablesample", "then", "to", "trailing", "true", "union", "unique", "user",
    "using", "variadic", "verbose", "when", "where", "window", "with",
}  # fmt: skip


def render_dbt(catalog: Catalog) -> dict[str, str]:
    """Every rendered file of the dbt project.

    Returns:
        Content by path relative to the dbt project; the same catalog always gives the same text.

    Raises:
        CatalogError: names of a system and a table make no name for a staging model.
    """
    _refuse_bad_names(catalog)
    files: dict[str, str] = {}
    for name, system in sorted(catalog.systems.items()):
        folder = f"{STAGING}/{name}"
        staged = {table: policy for table, policy in system.tables.items() if _staged_columns(policy)}
        files[f"{folder}/_{name}__sources.yml"] = _yaml(_sources(system))
        for table, policy in staged.items():
            model = f"{folder}/{model_name(name, table)}"
            files[f"{model}.sql"] = _staging_sql(system, table, policy)
            files[f"{model}.yml"] = _yaml({"version": 2, "models": [_model(system, table, policy)]})
    return files


def write_dbt(catalog: Catalog, dbt_project: Path) -> list[str]:
    """Make the rendered files of a dbt project those of the catalog.

    A file below ``models/staging`` that carries the mark of a rendered file and is rendered no longer is
    removed; a file without the mark is nobody's business here.

    Returns:
        The paths that were written or removed, relative to the dbt project, in order.
    """
    files = render_dbt(catalog)
    changed = [path for path, content in files.items() if _read(dbt_project / path) != content]
    for path in changed:
        (dbt_project / path).parent.mkdir(parents=True, exist_ok=True)
        (dbt_project / path).write_text(files[path], encoding="utf-8", newline="\n")
    stale = sorted(set(rendered_files(dbt_project)) - set(files))
    for path in stale:
        (dbt_project / path).unlink()
    for folder in {(dbt_project / path).parent for path in stale}:
        if not any(folder.iterdir()):
            folder.rmdir()
    return sorted([*changed, *stale])


def rendered_files(dbt_project: Path) -> dict[str, str]:
    """The files of a dbt project that carry the mark of a rendered file: content by relative path."""
    found: dict[str, str] = {}
    for file in sorted((dbt_project / STAGING).rglob("*")):
        if file.suffix in (".yml", ".sql"):
            content = file.read_text(encoding="utf-8")
            if content.startswith((_YAML_MARK, _SQL_MARK)):
                found[file.relative_to(dbt_project).as_posix()] = content
    return found


def model_name(system: str, table: str) -> str:
    """Name of a table's staging model."""
    return f"stg_{system}__{table}"


def _refuse_bad_names(catalog: Catalog) -> None:
    """A view's name has at most 63 characters, and dbt wants each model's name once in the whole project."""
    owners: dict[str, list[str]] = {}
    for name, system in catalog.systems.items():
        for table in system.tables:
            owners.setdefault(model_name(name, table), []).append(f"{name}.yaml: {table}")
    problems = [
        f"{tables[0]}: its staging model {model!r} would be longer than {MAX_IDENTIFIER} characters"
        for model, tables in owners.items()
        if len(model) > MAX_IDENTIFIER
    ]
    problems += [
        f"{' and '.join(tables)}: both would have the staging model {model!r}"
        for model, tables in owners.items()
        if len(tables) > 1
    ]
    if problems:
        raise CatalogError(problems, hint="Give the table a shorter or other name, and say its own under `source`.")


def _staged_columns(table: Table) -> dict[str, Column]:
    return {name: column for name, column in table.columns.items() if column.personal != "credential"}


def _staging_sql(system: System, table: str, policy: Table) -> str:
    # No ``select *`` from the raw table: the view would depend on every raw column, and a column that left the
    # policy could not be dropped.
    columns = ",\n    ".join(quoted(column) for column in _staged_columns(policy))
    return f"""{_SQL_MARK}
select
    {columns}
from {{{{ source('{system.raw_schema}', '{table}') }}}}
"""


def quoted(name: str) -> str:
    """A column name as SQL takes it: in quotes where it is reserved or has other than lower-case letters."""
    return f'"{name}"' if needs_quotes(name) else name


def needs_quotes(name: str) -> bool:
    """Whether PostgreSQL reads the bare name as something else."""
    return name in RESERVED or IDENTIFIER.fullmatch(name) is None


def _sources(system: System) -> dict[str, Any]:
    return {
        "version": 2,
        # The owner of a system's raw tables owns the models made of them; marts name this group too.
        "groups": [{"name": system.system, "owner": {"name": system.owner}}],
        "sources": [
            {
                "name": system.raw_schema,
                "schema": system.raw_schema,
                "description": _text(system.description),
                "config": {"meta": _source_meta(system)},
                "tables": [_source_table(name, table) for name, table in system.tables.items()],
            }
        ],
    }


def _source_meta(system: System) -> dict[str, Any]:
    meta: dict[str, Any] = {"system": system.system, "owner": system.owner, "laws": list(system.laws)}
    if system.person is not None:
        meta["person"] = f"{system.person.table}.{system.person.key}"
    return meta


def _source_table(name: str, table: Table) -> dict[str, Any]:
    # ``quality`` makes no dbt tests here: its checks run on the raw tables before dbt (``warehouse.quality``).
    meta: dict[str, Any] = {
        "key": list(table.key),
        "erasure": table.erasure.action,
        "retention": retention_text(table.retention),
    }
    if table.time is not None:
        meta["time"] = table.time
    return {"name": name, "description": _text(table.description), "config": {"meta": meta}}


def _model(system: System, name: str, table: Table) -> dict[str, Any]:
    left_out = [column for column in table.columns if column not in _staged_columns(table)]
    description = _text(table.description)
    if left_out:
        description += f" Left out here, as credentials: {', '.join(left_out)}."
    meta: dict[str, Any] = {"system": system.system, "table": name}
    if table.subjects:  # masked views hide rows of restricted persons by them
        meta["subjects"] = [f"{subject.column} -> {'.'.join(system.target_of(subject))}" for subject in table.subjects]
    return {
        "name": model_name(system.system, name),
        "description": description,
        "config": {"group": system.system, "meta": meta},
        "columns": [_column(column, policy) for column, policy in _staged_columns(table).items()],
    }


def _column(name: str, column: Column) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name}
    if needs_quotes(name):
        entry["quote"] = True
    if column.description:
        entry["description"] = _text(column.description)
    if column.personal is not None:
        entry["config"] = {"meta": {"personal": column.personal}}
    return entry


def _text(text: str) -> str:
    """One line, and safe in dbt, which reads descriptions as Jinja."""
    return " ".join(text.split()).replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")


def _yaml(document: Mapping[str, Any]) -> str:
    body = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=_WIDTH)
    return f"{_YAML_MARK}\n{body}"


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
