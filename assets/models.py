"""The dbt project as assets: one dbt invocation per run, keyed and grouped like the folders it lies in."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets
from pydantic import Field

from assets import keys
from assets.lineage import ColumnLineages
from assets.shown import column_schema, owner, personal_columns, shown
from resources.databases import SourceSnapshots, Warehouse
from resources.dbt import project_digest, target_path
from resources.opening import open_warehouse
from resources.settings import Settings
from warehouse.catalog import Catalog
from warehouse.postgres.sessions import connect
from warehouse.state.changes import prune_changes, relation_name

_OP = "dbt"

#: How often a model tagged so is refreshed, and after how long without a refresh it is said to be stale.
CADENCES = {
    "hourly": dt.timedelta(hours=2),
    "six_hourly": dt.timedelta(hours=8),
    "daily": dt.timedelta(hours=26),
}


class Translator(DagsterDbtTranslator):
    """Keys by schema and name; groups by system (staging) or mart area; owners and personal columns as declared."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.catalog = catalog

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """The spec that dagster-dbt makes, with our key, group and freshness."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        properties = self.get_resource_props(manifest, unique_id)
        if properties["resource_type"] not in ("model", "snapshot"):
            return spec
        # models/<layer>/<system>/<name>.sql, snapshots/<system>/<name>.sql; what lies between staging and marts belongs
        # to the marts that it serves.
        is_model = properties["resource_type"] == "model"
        layer, system = properties["fqn"][1:3] if is_model else ("snapshots", properties["fqn"][1])
        cadence = next((tag for tag in properties.get("tags", []) if tag in CADENCES), None)
        spec = spec.replace_attributes(
            key=keys.model(properties["schema"], properties["name"]),
            group_name=keys.group(system, "staging" if layer == "staging" else "marts"),
            owners=owner(self.catalog, system),
            tags={**spec.tags, **({"personal": ""} if personal_columns(properties) else {})},
            metadata={**spec.metadata, "dagster/column_schema": column_schema(properties)},
        )
        if cadence is not None:
            spec = dg.apply_freshness_policy(spec, dg.FreshnessPolicy.time_window(fail_window=CADENCES[cadence]))
        return spec


class Build(dg.Config):
    """How models are built."""

    whole: bool = Field(
        default=False,
        description="Make incremental models anew from everything instead of from what changed: after a repair.",
    )


def build_config(*, whole: bool) -> dict[str, Any]:
    """Run config of a job that builds models."""
    return {"ops": {_OP: {"config": {"whole": whole}}}}


def model_assets(manifest: Path, catalog: Catalog) -> dg.AssetsDefinition:
    """The dbt models as assets, but for those made from systems that this catalog does not have.

    Args:
        manifest: of the parsed project (``resources.dbt.ensure_manifest``).
        catalog: the policies in force.
    """
    content = json.loads(manifest.read_text())
    sources = {source["source_name"] for source in content["sources"].values()}
    incremental = [
        relation_name(node["schema"], node["alias"])
        for node in content["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] == "incremental"
    ]
    absent = sorted(sources - {system.raw_schema for system in catalog.systems.values()})

    @dbt_assets(
        manifest=content,
        exclude=" ".join(f"source:{source}+" for source in absent) or None,
        dagster_dbt_translator=Translator(catalog),
        name=_OP,
        pool="warehouse",
    )
    def dbt_build(
        context: dg.AssetExecutionContext,
        config: Build,
        dbt: DbtCliResource,
        snapshots: SourceSnapshots,
        destination: Warehouse,
    ) -> Iterator[Any]:
        snapshots.release()
        open_warehouse(Settings.load())
        # Unit tests hold the SQL against made-up rows: that is for the project's tests, not for every refresh.
        whole = ["--vars", json.dumps({"whole": True})] if config.whole else []
        command = ["build", "--exclude-resource-type", "unit_test", *whole]
        with connect(destination.dsn(), application="drivetrain models") as connection:
            built = dbt.cli(command, context=context)
            kept = target_path(Settings.load()).with_name("lineage.json")
            lineages = ColumnLineages(content, catalog, kept, project_digest())
            yield from shown(
                built.stream(),
                content["nodes"],
                connection,
                lambda node: lineages.of(node, built.target_path, connection),
            )
            lineages.keep()
            prune_changes(connection, incremental)

    return dbt_build
