"""The metrics of the dbt project's semantic layer, as SQL: MetricFlow writes it, nothing is sent anywhere.

What belongs here: from names of metrics and dimensions to one SELECT. What does not: running it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.errors import ConfigurationError, listed


@dataclass(frozen=True)
class Metric:
    """One metric as it is defined.

    Attributes:
        description: what it is, with its unit.
        by: dimensions and entities that it can be computed by, without longer periods and other names of its month.
    """

    name: str
    description: str
    by: tuple[str, ...]


def metrics(manifest: Path) -> list[Metric]:
    """Every metric that is defined, by name.

    Args:
        manifest: dbt's ``manifest.json``; ``semantic_manifest.json`` is beside it.
    """
    engine = _engine(manifest)
    return [
        Metric(
            found.name,
            (found.description or "").strip(),
            tuple(by for by in _groups(engine, found.name, coarser=False) if not by.endswith("__in_month")),
        )
        for found in sorted(engine.list_metrics(include_dimensions=False), key=lambda metric: metric.name)
    ]


def metric_sql(
    manifest: Path,
    names: Sequence[str],
    by: Sequence[str] = (),
    where: Sequence[str] = (),
    order: Sequence[str] = (),
) -> str:
    """The SELECT that computes metrics from the models that they are defined on.

    Args:
        manifest: as in ``metrics``.
        names: of the metrics.
        by: dimensions and entities, like ``rider``, ``rider__city`` or ``metric_time__month``.
        where: conditions in MetricFlow's notation, like ``{{ Dimension('rider__city') }} = 'Mumbai'``.
        order: names out of ``names`` and ``by``; a minus before one turns it round.

    Raises:
        ConfigurationError: there is no such metric, or it does not have the dimension.
    """
    engine = _engine(manifest)
    known = [metric.name for metric in engine.list_metrics(include_dimensions=False)]
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"no metric {name!r}", hint=f"There are: {listed(known, name)}. `drivetrain metric` says what each is."
            )
    for name in names:
        groups = _groups(engine, name, coarser=True)
        for wanted in by:
            if wanted not in groups:
                raise ConfigurationError(
                    f"{name} cannot be computed by {wanted!r}", hint=f"It has: {listed(groups, wanted)}"
                )
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest
    from metricflow_semantics.errors.error_classes import InformativeUserError

    try:
        explained = engine.explain(
            MetricFlowQueryRequest.create(
                metric_names=list(names),
                group_by_names=list(by) or None,
                where_constraints=list(where) or None,
                order_by_names=list(order) or None,
            )
        )
    except InformativeUserError as error:
        raise ConfigurationError(
            str(error).strip(), hint="Conditions are written like {{ Dimension('rider__city') }} = 'Mumbai'."
        ) from error
    return explained.sql_statement.without_descriptions.sql


def _groups(engine: Any, metric: str, *, coarser: bool) -> list[str]:
    found = engine.list_group_bys([metric], include_derived_time_granularities=coarser)
    return sorted(getattr(group, "dunder_name", None) or group.name for group in found)


def _engine(manifest: Path) -> Any:
    """MetricFlow on what dbt parsed. Its imports take a second, so they wait until somebody asks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third parties' own, at import
        from metricflow.engine.metricflow_engine import MetricFlowEngine
        from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
        from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

        text = manifest.with_name("semantic_manifest.json").read_text()
        lookup = SemanticManifestLookup(parse_manifest_from_dbt_generated_manifest(manifest_json_string=text))
        return MetricFlowEngine(semantic_manifest_lookup=lookup, sql_client=_writer())


def _writer() -> Any:
    """What MetricFlow asks of a database client to write SQL: a dialect. It connects to nothing."""
    from metricflow.protocols.sql_client import SqlEngine
    from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer

    class Writer:
        sql_engine_type = SqlEngine.POSTGRES
        sql_plan_renderer = PostgresSQLSqlPlanRenderer()

    return Writer()
