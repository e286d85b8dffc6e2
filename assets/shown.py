"""What the UI shows of models: owner and columns, and of every refresh rows, as of when, and plots.

A mart declares its plots in its YAML: ``meta: {plot: {<name>: <SQL over the mart, one number>}}``. Each is asked after
every refresh and becomes numeric metadata, which Dagster draws over time. What the mart itself tells over time is drawn
from it (``charts``).

What does not belong here: building models (``models``).
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
import psycopg
from psycopg import sql

from assets.charts import charts
from warehouse.catalog import Catalog
from warehouse.postgres.sessions import Connection

log = logging.getLogger(__name__)

#: Above so many rows, as the server estimates them, a model is not counted: the estimate is shown.
_COUNTED = 1_000_000
_PUBLISHED = "SELECT as_of, verified_through, tiers FROM platform.published WHERE model = %s"
_ESTIMATE = "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass AND relkind IN ('r', 'p')"


def owner(catalog: Catalog, system: str) -> list[str]:
    """Owner of a system's assets as Dagster writes teams; nobody for what belongs to no system."""
    found = catalog.systems.get(system)
    return [f"team:{found.owner.replace(' ', '-')}"] if found is not None else []


def personal_columns(properties: Mapping[str, Any]) -> dict[str, str]:
    """The personal columns of a dbt model, and their kinds."""
    columns: Mapping[str, Any] = properties.get("columns", {})
    kinds = {name: _meta(column).get("personal") for name, column in columns.items()}
    return {name: str(kind) for name, kind in kinds.items() if kind}


def column_schema(properties: Mapping[str, Any]) -> dg.TableSchema:
    """Columns as the model's contract has them, with descriptions and constraints, and tags on personal ones."""
    personal = personal_columns(properties)
    columns: Mapping[str, Any] = properties.get("columns", {})
    keys = [c["columns"] for c in properties.get("constraints", []) if c["type"] == "primary_key"]
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                column.get("data_type") or "?",
                description=column.get("description") or None,
                constraints=_constraints(column, is_key=[name] in keys),
                tags={"personal": personal[name]} if name in personal else {},
            )
            for name, column in columns.items()
        ]
    )


def _constraints(column: Mapping[str, Any], *, is_key: bool) -> dg.TableColumnConstraints:
    declared: list[Mapping[str, Any]] = column.get("constraints", [])
    return dg.TableColumnConstraints(
        nullable=not any(constraint["type"] == "not_null" for constraint in declared),
        unique=is_key,
        other=[constraint["expression"] for constraint in declared if constraint["type"] == "check"],
    )


def shown(
    events: Iterable[Any],
    nodes: Mapping[str, Any],
    connection: Connection,
    lineage: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda _: {},
) -> Iterator[Any]:
    """Pass on what dbt did, with what is to be shown of each model that was refreshed.

    Args:
        events: of a dbt invocation.
        nodes: of the manifest.
        connection: a session of the warehouse in autocommit.
        lineage: further metadata of a model: from which columns its own are made.
    """
    for event in events:
        node = _node(event, nodes)
        if node is None or node["resource_type"] != "model" or node["config"]["materialized"] == "view":
            yield event
        else:
            yield event.with_metadata({**event.metadata, **refresh_metadata(connection, node), **lineage(node)})


def refresh_metadata(connection: Connection, node: Mapping[str, Any]) -> dict[str, Any]:
    """Rows, moments and plots of a model as it is now. What cannot be read is left out and logged."""
    model = f"{node['schema']}.{node['alias']}"
    relation = sql.Identifier(node["schema"], node["alias"])
    found: dict[str, Any] = {}
    try:
        estimate = connection.execute(_ESTIMATE, (relation.as_string(connection),)).fetchone()
        if estimate is not None:
            rows = int(estimate[0])
            if rows <= _COUNTED:
                counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(relation)).fetchone()
                rows = int(counted[0]) if counted else 0
            found["dagster/row_count"] = rows
        published = connection.execute(_PUBLISHED, (model,)).fetchone()
        if published is not None:
            as_of, verified, tiers = published
            found["as_of"] = _moment(as_of)
            found["verified_through"] = _moment(verified)
            found["tiers"] = ", ".join(tiers) or "none"
        plots: Mapping[str, str] = _meta(node).get("plot") or {}
        if plots:
            values = ", ".join(f"({expression})::double precision" for expression in plots.values())
            row = connection.execute(
                # The expressions are the project's own.
                sql.SQL("SELECT {} FROM {}").format(sql.SQL(values), relation)  # type: ignore[arg-type]
            ).fetchone()
            found |= {name: value for name, value in zip(plots, row or (), strict=False) if value is not None}
        found |= charts(connection, relation, _meta(node).get("chart") or {})
    except psycopg.Error as error:
        log.warning("%s: not all can be shown of it: %s", model, error.diag.message_primary or type(error).__name__)
    return found


def _meta(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return properties.get("config", {}).get("meta") or properties.get("meta") or {}


def _node(event: Any, nodes: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not isinstance(event, dg.Output | dg.AssetMaterialization):
        return None
    unique_id = event.metadata.get("unique_id")
    return nodes.get(str(getattr(unique_id, "value", unique_id)))


def _moment(moment: dt.datetime | None) -> Any:
    return dg.MetadataValue.timestamp(moment) if moment is not None else "not known"
