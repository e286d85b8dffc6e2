"""From which columns a model's columns are made, read from its compiled SQL.

dagster-dbt offers the same and asks the database for the columns of every model and of all its parents again in every
run. Here the manifest says which columns there are, and what was found is kept until the project changes: an hourly run
parses no SQL.

What does not belong here: what else is shown of a model (``shown``).
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import TableColumnDep, TableColumnLineage

from warehouse.catalog import Catalog
from warehouse.postgres.sessions import Connection
from warehouse.state.changes import SUFFIX

log = logging.getLogger(__name__)

_LIVE = """
SELECT attname::text FROM pg_attribute
 WHERE attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND attnum > 0 AND NOT attisdropped
"""
#: (schema, table, column) that a column is made from.
Origin = tuple[str, str, str]


@dataclass
class ColumnLineages:
    """Lineage of a project's models.

    Attributes:
        manifest: of the project.
        catalog: says which columns raw tables have.
        file: where it is kept.
        digest: of the project; what was found for another is forgotten.
    """

    manifest: Mapping[str, Any]
    catalog: Catalog
    file: Path
    digest: str
    _known: dict[str, dict[str, list[list[str]]]] = field(default_factory=dict[str, Any], init=False)

    def __post_init__(self) -> None:
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))
            self._known = kept["models"] if kept["digest"] == self.digest else {}
        except (OSError, ValueError, KeyError, TypeError):
            self._known = {}

    def of(self, node: Mapping[str, Any], target: Path, connection: Connection) -> dict[str, Any]:
        """Metadata of a model's lineage; empty if its SQL cannot be followed.

        Args:
            node: the model, in the manifest.
            target: folder into which dbt compiled it.
            connection: to the warehouse, which is asked for the columns of a relation that declares none.
        """
        name = str(node["unique_id"])
        if name not in self._known:
            compiled = target / "compiled" / node["package_name"] / node["original_file_path"]
            try:
                found = origins(
                    compiled.read_text(encoding="utf-8"), list(node["columns"]), self._columns(node, connection)
                )
            except Exception as error:  # the parser's errors have no common base; a picture is not worth a run
                log.warning("%s: no column lineage: %s", node["name"], str(error).splitlines()[0])
                found = {}
            self._known[name] = {column: [list(origin) for origin in made] for column, made in found.items()}
        found_of = {
            column: [
                TableColumnDep(asset_key=dg.AssetKey([schema, table]), column_name=origin)
                for schema, table, origin in made
            ]
            for column, made in self._known[name].items()
        }
        if not found_of:
            return {}
        # Dagster's open-source UI draws no column lineage: there it is read as a table.
        rows = "\n".join(
            f"| {column} | {', '.join('.'.join(origin) for origin in made) or 'no column: counted or fixed'} |"
            for column, made in self._known[name].items()
        )
        return {
            "dagster/column_lineage": TableColumnLineage(deps_by_column=found_of),
            "columns made from": dg.MetadataValue.md(f"| column | made from |\n|---|---|\n{rows}"),
        }

    def keep(self) -> None:
        """Keep what was found for the next run."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps({"digest": self.digest, "models": self._known}), encoding="utf-8")

    def _columns(self, node: Mapping[str, Any], connection: Connection) -> dict[tuple[str, str], list[str]]:
        """Columns of the relations that a model reads, by schema and name."""
        columns: dict[tuple[str, str], list[str]] = {}
        for parent in node["depends_on"]["nodes"]:
            found = self.manifest["nodes"].get(parent) or self.manifest["sources"][parent]
            name = found.get("alias") or found["identifier"]
            system = self.catalog.systems.get(found["schema"].removeprefix("raw_"))
            raw = system.tables[name].columns if system and name in system.tables and "identifier" in found else {}
            live = () if found["columns"] or raw else connection.execute(_LIVE, (found["schema"], name))
            columns[found["schema"], name] = list(found["columns"] or raw) or [column for (column,) in live]
        return columns


def origins(query: str, columns: list[str], parents: Mapping[tuple[str, str], list[str]]) -> dict[str, list[Origin]]:
    """Which columns of the parents each column of a query is made from.

    Args:
        query: SELECT of PostgreSQL.
        columns: of the query that are asked for.
        parents: columns of the relations that it reads. A change feed counts as its relation.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    schema: dict[str, Any] = {}
    for (owner, name), known in parents.items():
        if not known:
            continue
        relations = schema.setdefault(owner, {})
        relations[name] = dict.fromkeys(known, "text")
        relations[name + SUFFIX] = {**relations[name], "sign": "int", "change": "bigint"}
    parsed: Any = sqlglot.parse_one(query, dialect="postgres")
    for table in parsed.find_all(exp.Table):
        table.set("catalog", None)
    qualified = qualify(parsed, dialect="postgres", schema=schema, validate_qualify_columns=False)
    scope = build_scope(qualified)
    found: dict[str, list[Origin]] = {}
    for column in columns:
        made = set[Origin]()
        for leaf in lineage(column, qualified, schema=schema, dialect="postgres", scope=scope).walk():
            table = leaf.expression.find(exp.Table) if not leaf.downstream else None
            if table is None:
                continue
            name = table.name.removesuffix(SUFFIX)
            origin = exp.to_column(leaf.name).name
            if origin in parents.get((table.db, name), ()):
                made.add((table.db, name, origin))
        found[column] = sorted(made)
    return found
