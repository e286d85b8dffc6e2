"""What the UI shows of models: owners, columns with meaning and tags, and of each refresh rows, moments and plots."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from psycopg import sql

from assets import keys
from assets.charts import charts, png
from assets.lineage import ColumnLineages
from assets.shown import refresh_metadata, shown
from warehouse.catalog import Catalog, load_catalog
from warehouse.postgres.sessions import Connection, Dsn, connect
from warehouse.state.migrate import migrate

NODE: dict[str, Any] = {
    "resource_type": "model",
    "schema": "marts",
    "alias": "days",
    "config": {
        "materialized": "table",
        "meta": {"plot": {"km": "sum(km)", "busiest": "max(rides)", "nothing": "sum(km) filter (where false)"}},
    },
}


@pytest.fixture
def nodes(manifest: Path) -> dict[str, Any]:
    content = json.loads(manifest.read_text())["nodes"]
    return {name: node for name, node in content.items() if node["resource_type"] == "model"}


@pytest.fixture
def warehouse(new_database: Callable[[str], str]) -> Any:
    with connect(Dsn(new_database("warehouse"), "WAREHOUSE")) as connection:
        migrate(connection)
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        connection.execute(
            "CREATE TABLE marts.days AS SELECT 1.5 AS km, i AS rides, current_date - i AS day"
            " FROM generate_series(1, 4) AS i"
        )
        yield connection


def test_every_model_has_its_systems_owner_and_its_columns_meaning(
    definitions: dg.Definitions, catalog: Catalog, nodes: dict[str, Any]
) -> None:
    graph = definitions.resolve_asset_graph()
    for node in nodes.values():
        asset = graph.get(keys.model(node["schema"], node["name"]))
        if node["fqn"][2] in catalog.systems:
            assert asset.owners == [f"team:{catalog.systems[node['fqn'][2]].owner.replace(' ', '-')}"], asset.key
        schema = asset.metadata["dagster/column_schema"]
        columns = (schema if isinstance(schema, dg.TableSchema) else schema.schema).columns  # type: ignore[union-attr]
        assert {column.name for column in columns} == set(node["columns"])
        if node["schema"] == "marts":
            assert all(column.description for column in columns), asset.key


def test_personal_columns_are_tagged_and_so_is_their_model(definitions: dg.Definitions, nodes: dict[str, Any]) -> None:
    graph = definitions.resolve_asset_graph()
    tagged = set[str]()
    for node in nodes.values():
        personal = {
            name: column["config"]["meta"]["personal"]
            for name, column in node["columns"].items()
            if column.get("config", {}).get("meta", {}).get("personal")
        }
        asset = graph.get(keys.model(node["schema"], node["name"]))
        schema = asset.metadata["dagster/column_schema"]
        columns = (schema if isinstance(schema, dg.TableSchema) else schema.schema).columns  # type: ignore[union-attr]
        assert {column.name: column.tags["personal"] for column in columns if column.tags} == personal, asset.key
        assert ("personal" in asset.tags) == bool(personal), asset.key
        tagged |= {node["name"]} if personal else set()
    assert "rider_leaderboard" in tagged and "stg_shop__customers" in tagged


def test_a_refresh_shows_rows_moments_tiers_and_plots(warehouse: Connection) -> None:
    warehouse.execute(
        "INSERT INTO platform.published VALUES ('marts.days', now(), '2026-03-01 10:00+00', NULL, '{warehouse}', 'c')"
    )
    assert refresh_metadata(warehouse, NODE) == {
        "dagster/row_count": 4,
        "as_of": dg.MetadataValue.timestamp(dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC)),
        "verified_through": "not known",
        "tiers": "warehouse",
        "km": 6.0,
        "busiest": 4.0,
    }


def test_what_cannot_be_shown_stops_nothing(warehouse: Connection) -> None:
    wrong = {**NODE, "config": {"materialized": "table", "meta": {"plot": {"km": "sum(no_such_column)"}}}}
    assert refresh_metadata(warehouse, wrong)["dagster/row_count"] == 4
    assert refresh_metadata(warehouse, {**NODE, "alias": "no_such_mart"}) == {}


def test_only_refreshed_models_are_asked_about_and_everything_is_passed_on(warehouse: Connection) -> None:
    view = {**NODE, "config": {"materialized": "view"}}
    nodes = {"model.days": NODE, "model.view": view, "test.t": {**NODE, "resource_type": "test"}}
    names = ["model.days", "model.view", "test.t", "model.unknown"]
    events = [dg.AssetMaterialization(name.replace(".", "_"), metadata={"unique_id": name}) for name in names]
    check = SimpleNamespace(metadata={})
    passed = list(shown([*events, check], nodes, warehouse))
    assert passed[1:] == [*events[1:], check]
    assert passed[0].metadata["dagster/row_count"].value == 4 and passed[0].metadata["unique_id"].value == "model.days"


def test_plots_are_declared_for_what_is_asked_for_and_read_their_own_columns(nodes: dict[str, Any]) -> None:
    plots = {n["name"]: n["config"]["meta"]["plot"] for n in nodes.values() if n["config"]["meta"].get("plot")}
    assert {"rider_leaderboard", "bikenode_daily_activity", "throttlecove_daily_activity", "shop_analytics"} <= set(
        plots
    )
    said = " ".join(name for plot in plots.values() for name in plot)
    for wanted in ("km ridden", "delivered orders", "riders", "orders by shop"):
        assert wanted in said


def test_a_chart_is_a_picture_of_the_newest_points(warehouse: Connection) -> None:
    chart = {
        "km by ride": {"by": "day", "show": "sum(km)", "last": 3},
        "nothing": {"by": "day", "show": "1", "last": 0},
    }
    shown = refresh_metadata(warehouse, {**NODE, "config": {"materialized": "table", "meta": {"chart": chart}}})
    picture = shown["km by ride"].md_str
    assert picture.startswith("![km by ride](data:image/png;base64,iVBOR") and len(picture) < 40_000
    assert "nothing" not in shown


@pytest.mark.parametrize("values", [[None, None], [None, 1.0, float("nan")], [5.0]])
def test_a_chart_stands_figures_that_are_not_known(values: list[float | None]) -> None:
    days = [dt.date(2026, 3, 1) + dt.timedelta(days=day) for day in range(len(values))]
    assert png("km", list(zip(days, values, strict=True))).startswith(b"\x89PNG")


def test_every_declared_chart_can_be_drawn_from_its_mart(warehouse: Connection, nodes: dict[str, Any]) -> None:
    declared = {n["name"]: n for n in nodes.values() if n["config"]["meta"].get("chart")}
    assert {"logistics_hourly_demand", "bikenode_daily_activity", "throttlecove_daily_activity"} <= set(declared)
    for name, node in declared.items():
        columns = ", ".join(
            ("now()" if column["data_type"] in ("date", "timestamptz") else "NULL")
            + f'::{column["data_type"]} AS "{title}"'
            for title, column in node["columns"].items()
        )
        warehouse.execute(f'CREATE TABLE marts."{name}" AS SELECT {columns}'.encode())
        chart = node["config"]["meta"]["chart"]
        assert charts(warehouse, sql.Identifier("marts", name), chart).keys() == chart.keys(), name


def test_snapshots_lie_with_the_marts_of_their_system(definitions: dg.Definitions, catalog: Catalog) -> None:
    graph = definitions.resolve_asset_graph()
    snapshots = [key for key in graph.get_all_asset_keys() if key.path[-1].startswith("snap_")]
    assert len(snapshots) >= 7
    for key in snapshots:
        system = key.path[-1].removeprefix("snap_").split("__")[0]
        assert graph.get(key).group_name == keys.group(system, "marts"), key
        assert graph.get(key).owners == [f"team:{catalog.systems[system].owner.replace(' ', '-')}"], key


def test_every_declared_plot_is_a_number_over_its_mart(warehouse: Connection, nodes: dict[str, Any]) -> None:
    for node in nodes.values():
        if not node["config"]["meta"].get("plot"):
            continue
        columns = ", ".join(f'NULL::{column["data_type"]} AS "{name}"' for name, column in node["columns"].items())
        warehouse.execute(f'CREATE TABLE marts."{node["alias"]}" AS SELECT {columns}'.encode())
        warehouse.execute(f'DELETE FROM marts."{node["alias"]}"'.encode())
        plots = ", ".join(f"({e})::double precision" for e in node["config"]["meta"]["plot"].values())
        assert warehouse.execute(f'SELECT {plots} FROM marts."{node["alias"]}"'.encode()).fetchone(), node["name"]


def test_lineage_asks_the_warehouse_for_columns_that_nobody_declared(warehouse: Connection, tmp_path: Path) -> None:
    compiled = tmp_path / "compiled" / "p" / "m.sql"
    compiled.parent.mkdir(parents=True)
    compiled.write_text("with all_of_it as (select * from marts.days) select km * 2 as twice from all_of_it")
    days = {"schema": "marts", "alias": "days", "columns": {}}
    manifest = {"nodes": {"model.p.days": days}, "sources": {}}
    node = {
        "unique_id": "model.p.m", "name": "m", "package_name": "p", "original_file_path": "m.sql",
        "columns": {"twice": {}}, "depends_on": {"nodes": ["model.p.days"]},
    }  # fmt: skip
    lineages = ColumnLineages(manifest, load_catalog(), tmp_path / "lineage.json", "one")
    found = lineages.of(node, tmp_path, warehouse)["dagster/column_lineage"]
    assert [(dep.asset_key, dep.column_name) for dep in found.deps_by_column["twice"]] == [
        (keys.model("marts", "days"), "km")
    ]
