"""Every night: does each model that is refreshed by what changed equal what it is when made anew?"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource

from assets import keys
from assets.failures import failed
from resources.databases import Warehouse
from warehouse.catalog import Catalog
from warehouse.errors import DrivetrainError
from warehouse.postgres.sessions import connect
from warehouse.quality.recomputation import Recomputation, recompute

RECOMPUTED = "equals_its_recomputation"

_WHOLE = json.dumps({"whole": True})


def incremental_models(content: Mapping[str, Any], catalog: Catalog) -> dict[dg.AssetKey, dict[str, Any]]:
    """The nodes of a manifest that are refreshed by what changed, but for those of systems that this catalog lacks."""
    return {
        keys.model(node["schema"], node["name"]): node
        for node in content["nodes"].values()
        if node["resource_type"] == "model"
        and node["config"]["materialized"] == "incremental"
        and node["fqn"][2] in catalog.systems
    }


def raw_ancestors(nodes: Mapping[str, Any], node: Mapping[str, Any]) -> list[str]:
    """The raw tables that a node of a manifest is made from, however far up, as ``raw_<system>.<table>``."""
    found: set[str] = set()
    for unique_id in node["depends_on"]["nodes"]:
        if unique_id.startswith("source."):
            found.add(".".join(unique_id.split(".")[-2:]))
        elif unique_id in nodes:
            found.update(raw_ancestors(nodes, nodes[unique_id]))
    return sorted(found)


def recomputation_checks(manifest: Path, catalog: Catalog) -> dg.AssetChecksDefinition:
    """One check per incremental model; all of a run share one dbt invocation.

    Args:
        manifest: of the parsed project.
        catalog: the policies in force.
    """
    nodes = incremental_models(json.loads(manifest.read_text()), catalog)

    @dg.multi_asset_check(
        name="recomputation",
        specs=[
            dg.AssetCheckSpec(
                RECOMPUTED,
                asset=key,
                description="Made anew from all rows, the model has the same rows: none missing, none extra.",
            )
            for key in nodes
        ],
        can_subset=True,
        pool="warehouse",
    )
    def recomputation(
        context: dg.AssetCheckExecutionContext, dbt: DbtCliResource, destination: Warehouse
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = sorted(key.asset_key for key in context.selected_asset_check_keys)
        names = " ".join(nodes[key]["name"] for key in chosen)
        invocation = dbt.cli(["compile", "--select", names, "--vars", _WHOLE], raise_on_error=True).wait()
        compiled = invocation.get_artifact("manifest.json")["nodes"]
        with connect(destination.dsn(), application="drivetrain recomputation") as connection:
            for key in chosen:
                node = compiled[nodes[key]["unique_id"]]
                try:
                    found = recompute(
                        connection,
                        f"{node['schema']}.{node['name']}",
                        node["compiled_code"],
                        list(node["columns"]),
                        next(c["columns"] for c in node["constraints"] if c["type"] == "primary_key"),
                        node["config"].get("period"),
                        raw_ancestors(compiled, node),
                    )
                except DrivetrainError as error:
                    raise failed(error, context.retry_number) from error
                yield _result(key, found)

    return recomputation


def _result(key: dg.AssetKey, found: Recomputation) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=RECOMPUTED,
        passed=found.agrees,
        metadata={
            "rows": found.rows,
            "missing": found.missing,
            "extra": found.extra,
            "keys of some": ", ".join(str(example) for example in found.examples) or "none",
            "what to do": "none"
            if found.agrees
            else f"build it whole: drivetrain build {key.path[-1]} --whole, and report how it came about",
        },
    )
