"""Properties of the asset graph, the jobs and the schedules: what must hold whatever tables there are."""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent

from assets import keys
from assets.ingestion import RECONCILED
from assets.models import CADENCES
from pipelines.jobs import month_tags, recent_months
from sensors.failures import models_beside, models_sensor
from warehouse.catalog import Catalog

PROJECT = Path(__file__).parents[2]


def test_a_fresh_interpreter_loads_and_validates_the_code_location(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w", "workspace.yaml"]
    environment = {**os.environ, "DRIVETRAIN_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path)}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_table_is_an_asset_with_all_that_a_reader_needs(definitions: dg.Definitions, catalog: Catalog) -> None:
    graph = definitions.resolve_asset_graph()
    for name, system in catalog.systems.items():
        for table, policy in system.tables.items():
            node = graph.get(keys.raw(name, table))
            assert node.description and policy.description in node.description
            assert node.group_name == f"{name}_raw"
            assert node.owners
            assert node.pools == {f"{name}_source"}
            assert (node.partitions_def is not None) == (policy.ingest.mode == "partition")
            schema = node.metadata["dagster/column_schema"]
            assert isinstance(schema, dg.TableSchema | dg.TableSchemaMetadataValue)
            columns = (schema if isinstance(schema, dg.TableSchema) else schema.schema).columns
            assert {c.name for c in columns} == set(policy.columns)
            assert {c.name for c in columns if c.tags} == set(policy.personal)
            assert dg.AssetCheckKey(node.key, RECONCILED) in graph.asset_check_keys


def test_reconciliation_blocks(definitions: dg.Definitions, catalog: Catalog) -> None:
    graph = definitions.resolve_asset_graph()
    reconciled = [key for key in graph.asset_check_keys if key.name == RECONCILED]
    assert len(reconciled) == sum(len(system.tables) for system in catalog.systems.values())
    assert all(graph.get_check_spec(key).blocking for key in reconciled)


def test_models_stand_on_raw_assets_and_nothing_hangs_in_the_air(definitions: dg.Definitions, catalog: Catalog) -> None:
    graph = definitions.resolve_asset_graph()
    raw = {keys.raw(name, table) for name, system in catalog.systems.items() for table in system.tables}
    assert raw <= graph.materializable_asset_keys
    assert graph.get_all_asset_keys() == graph.materializable_asset_keys, "an asset that nobody makes"
    partitions = {keys.partitions(name) for name in catalog.systems}
    tiers = {keys.tiers(name) for name in ("bikenode", "carddb", "logistics")}
    retention = {keys.retention(name) for name in ("bikenode", "carddb", "logistics", "throttlecove")}
    retention.add(keys.copies())
    apart = partitions | tiers | retention | {keys.requests()}
    assert apart <= graph.materializable_asset_keys
    for key in graph.materializable_asset_keys - raw - apart:
        assert graph.get(key).parent_keys, key
        roots = {ancestor for ancestor in graph.get_ancestor_asset_keys(key) if not graph.get(ancestor).parent_keys}
        assert roots <= raw, key


def test_every_mart_has_one_cadence_and_a_freshness_policy(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    marts = [graph.get(key) for key in graph.materializable_asset_keys if key.path[0] == "marts"]
    assert marts
    for mart in marts:
        assert len(set(mart.tags) & set(CADENCES)) == 1, mart.key
        assert mart.freshness_policy is not None, mart.key
        assert mart.description, mart.key
    names = {mart.key.path[-1]: set(mart.tags) & set(CADENCES) for mart in marts}
    assert names["rider_leaderboard"] == {"hourly"} == names["shop_analytics"]
    assert names["rider_performance_summary"] == {"six_hourly"}
    assert names["user_ride_stats"] == {"daily"}


@pytest.mark.parametrize("cadence", list(CADENCES))
def test_a_scheduled_job_refreshes_its_marts_and_all_that_they_are_made_from(
    definitions: dg.Definitions, cadence: str
) -> None:
    graph = definitions.resolve_asset_graph()
    selected = definitions.resolve_job_def(cadence).asset_layer.selected_asset_keys
    marts = {key for key in graph.materializable_asset_keys if cadence in graph.get(key).tags}
    assert marts and marts <= selected
    for key in selected:
        assert graph.get(key).parent_keys <= selected, f"{cadence} refreshes {key} from something it does not refresh"
    if cadence == "daily":
        kept = ("partitions", "tiers", "retention", "erasure")
        assert selected == {key for key in graph.materializable_asset_keys if key.path[0] not in kept}


def test_schedules_run_by_themselves_at_the_hours_that_are_asked_for(definitions: dg.Definitions) -> None:
    schedules = {schedule.name: schedule for schedule in definitions.get_repository_def().schedule_defs}
    crons = {name: schedule.cron_schedule for name, schedule in schedules.items()}
    assert crons == {
        "hourly_schedule": "5 * * * *",
        "six_hourly_schedule": "25 */6 * * *",
        "daily_schedule": "45 3 * * *",
        "partitions_schedule": "40 1 * * *",
        "tiers_schedule": "20 4 * * *",
        "retention_schedule": "50 4 * * *",
        "retention_throttlecove_short_lived_schedule": "35 * * * *",
        "requests_schedule": "10 6 * * *",
    }
    for schedule in schedules.values():
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        assert schedule.execution_timezone == "UTC"


def test_an_hourly_tick_asks_for_this_month_and_the_one_before(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    schedule = definitions.get_repository_def().get_schedule_def("hourly_schedule")
    moment = dt.datetime(2026, 1, 1, 0, 5, tzinfo=dt.UTC)
    tick = schedule.evaluate_tick(
        dg.build_schedule_context(
            instance=instance, scheduled_execution_time=moment, repository_def=definitions.get_repository_def()
        )
    )
    (request,) = tick.run_requests or []
    assert month_tags(dt.date(2025, 12, 1), dt.date(2026, 1, 1)).items() <= request.tags.items()


def test_months_never_begin_before_history(catalog: Catalog) -> None:
    start = min(system.history_starts for system in catalog.systems.values())
    assert recent_months(catalog, start, 5) == (start, start)
    assert recent_months(catalog, dt.date(2026, 3, 31), None) == (start, dt.date(2026, 3, 1))
    assert recent_months(catalog, dt.date(2026, 3, 31), 3) == (dt.date(2025, 12, 1), dt.date(2026, 3, 1))


def test_a_failed_system_leaves_the_models_of_the_others_to_be_built(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    planned = definitions.resolve_job_def("hourly").asset_layer.selected_asset_keys
    raw = {key for key in planned if not graph.get(key).parent_keys}
    failed = keys.raw("shop", "orders")
    rest = models_beside(graph, planned, raw - {failed})
    assert keys.model("marts", "rider_leaderboard") in rest
    assert keys.model("staging", "stg_shop__shops") in rest, "stands on a table that was loaded"
    assert not {keys.model("marts", "shop_analytics"), keys.model("staging", "stg_shop__orders")} & rest
    assert not models_beside(graph, planned, raw), "dbt itself failed: to repeat it would fail again"
    assert not models_beside(graph, planned, planned)


def test_the_sensor_builds_what_a_failed_run_left(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    repository = definitions.get_repository_def()
    failed = keys.raw("shop", "orders")

    @dg.op(name="all_but_orders")
    def all_but_orders(context: dg.OpExecutionContext) -> None:
        for key in sorted(repository.asset_graph.materializable_asset_keys):
            context.instance.report_dagster_event(
                DagsterEvent.build_asset_materialization_planned_event(
                    context.job_name, context.op_handle.name, AssetMaterializationPlannedData(key)
                ),
                context.run_id,
            )
            if not repository.asset_graph.get(key).parent_keys and key != failed:
                context.log_event(dg.AssetMaterialization(key))
        raise dg.Failure("orders")

    @dg.job
    def daily() -> None:
        all_but_orders()

    result = daily.execute_in_process(instance=instance, raise_on_error=False)
    context = dg.build_run_status_sensor_context(
        sensor_name="models_beside_failures",
        dagster_event=next(e for e in result.all_events if e.event_type_value == "PIPELINE_FAILURE"),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        repository_def=repository,
    )
    request = models_sensor(definitions.resolve_job_def("models"))(context)  # type: ignore[arg-type]
    assert isinstance(request, dg.RunRequest)
    chosen = set(request.asset_selection or [])
    assert keys.model("marts", "rider_leaderboard") in chosen
    assert keys.model("marts", "shop_analytics") not in chosen


def test_jobs_are_there_and_described(definitions: dg.Definitions, catalog: Catalog) -> None:
    jobs = {job.name: job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    expected = {"hourly", "six_hourly", "daily", "partitions", "tiers", "retention", "ingest", "models"}
    expected |= {"retention_throttlecove_short_lived", "erasure", "requests"}
    assert set(jobs) == expected | {f"ingest_{name}" for name in catalog.systems}
    assert all(job.description for job in jobs.values())


def test_a_catalog_of_another_system_needs_no_python(
    manifest: Path, tmp_path: Path, definitions: dg.Definitions
) -> None:
    from pipelines.definitions import build_definitions
    from warehouse.catalog import load_catalog

    (tmp_path / "sixth.yaml").write_text(
        "system: sixth\ntitle: A sixth\ndescription: Another system.\nowner: somebody\nhistory_starts: 2025-01-01\n"
        "tables:\n  things:\n    description: Things.\n    key: [id]\n    retention: lifetime\n    erasure: no_person\n"
        "    columns: {id: {type: bigint}, name: {type: text}}\n"
    )
    other = build_definitions(load_catalog(tmp_path), manifest)
    graph = other.resolve_asset_graph()
    assert graph.materializable_asset_keys == {keys.raw("sixth", "things"), keys.requests()}
    other.resolve_job_def("ingest_sixth")
    other.resolve_job_def("daily")
