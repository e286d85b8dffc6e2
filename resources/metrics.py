"""The metrics of the dbt project's semantic layer, as SQL: MetricFlow writes it, nothing is sent anywhere.

What belongs here: from names of metrics and dimensions to one SELECT. What does not: running it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warehouse.errors import ConfigurationError


def metric_names(manifest: Path) -> list[str]:
    """Every metric that is defined, in order.

    Args:
        manifest: dbt's ``manifest.json``; ``semantic_manifest.json`` is beside it.
    """
    content = json.loads(manifest.with_name("semantic_manifest.json").read_text())
    return sorted(metric["name"] for metric in content["metrics"])


def metric_sql(
    manifest: Path,
    metrics: Sequence[str],
    by: Sequence[str] = (),
    where: Sequence[str] = (),
    order: Sequence[str] = (),
) -> str:
    """The SELECT that computes metrics from the models that they are defined on.

    Args:
        manifest: as in ``metric_names``.
        metrics: their names.
        by: dimensions and entities, like ``rider``, ``rider__city`` or ``metric_time__month``.
        where: conditions in MetricFlow's notation, like ``{{ Dimension('rider__city') }} = 'Mumbai'``.
        order: names out of ``metrics`` and ``by``; a minus before one turns it round.

    Raises:
        ConfigurationError: there is no such metric, or it does not have the dimension.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third parties' own, at import
        from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
        from metricflow_semantics.errors.error_classes import InformativeUserError
        from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
        from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

        text = manifest.with_name("semantic_manifest.json").read_text()
        lookup = SemanticManifestLookup(parse_manifest_from_dbt_generated_manifest(manifest_json_string=text))
        engine = MetricFlowEngine(semantic_manifest_lookup=lookup, sql_client=_writer())
        try:
            explained = engine.explain(
                MetricFlowQueryRequest.create(
                    metric_names=list(metrics),
                    group_by_names=list(by) or None,
                    where_constraints=list(where) or None,
                    order_by_names=list(order) or None,
                )
            )
        except InformativeUserError as error:
            raise ConfigurationError(
                str(error).strip(), hint=f"There are {', '.join(metric_names(manifest))}: docs/analysts.md."
            ) from error
    return explained.sql_statement.without_descriptions.sql


def _writer() -> Any:
    """What MetricFlow asks of a database client to write SQL: a dialect. It connects to nothing."""
    from metricflow.protocols.sql_client import SqlEngine
    from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer

    class Writer:
        sql_engine_type = SqlEngine.POSTGRES
        sql_plan_renderer = PostgresSQLSqlPlanRenderer()

    return Writer()
