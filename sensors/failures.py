"""What follows a failed run: an alert, and the models that it could have built all the same."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from resources.alerts import Alerts

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


@dg.run_failure_sensor(
    name="failed_runs",
    description="Sends an alert for every failed run: which job, which steps, why, and where to look.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def failed_runs(context: dg.RunFailureSensorContext, alerts: Alerts) -> None:
    """Alert on a failed run; the message carries errors' own texts, which hold no row values and no secrets."""
    run = context.dagster_run
    lines = [f"Job {run.job_name}, run {run.run_id}: {context.failure_event.message or 'failed'}"]
    for event in context.get_step_failure_events():
        failure = event.step_failure_data
        reason = failure.user_failure_data.description if failure.user_failure_data else None
        lines.append(f"- {event.step_key}: {reason or failure.error_display_string.strip().splitlines()[0]}")
    lines.append("Open the run in Dagster for its log; materialise the failed assets again when mended.")
    alerts.send(f"{run.job_name} failed", "\n".join(lines))


def models_beside(
    graph: "AssetGraph",
    planned: Iterable[dg.AssetKey],
    made: Iterable[dg.AssetKey],
    refused: Iterable[dg.AssetKey] = (),
) -> set[dg.AssetKey]:
    """Of the assets that a run planned and did not make, those that stand on nothing that failed.

    All models are one dbt invocation, hence one step, which Dagster skips when any raw table fails, or a blocking check
    of one: these are ``refused``.
    """
    missing = set(planned) - set(made)
    failed = {key for key in missing if not graph.get(key).parent_keys} | set(refused)
    return {key for key in missing - failed if failed and not graph.get_ancestor_asset_keys(key) & failed}


def models_sensor(models: "UnresolvedAssetJobDefinition") -> dg.SensorDefinition:
    """After a failed run, build the models that do not stand on what failed: no system waits for another's source.

    Args:
        models: the job that builds models, which is launched for a part of them.
    """

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.FAILURE,
        name="models_beside_failures",
        description="When a raw table or a blocking check of one fails, builds the models that are not made from it.",
        request_job=models,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        run, instance = context.dagster_run, context.instance
        if context.repository_def is None:
            return dg.SkipReason("no definitions")
        kinds = {
            kind: {
                event.asset_key
                for record in instance.all_logs(run.run_id, of_type=kind)
                if (event := record.dagster_event) is not None and event.asset_key is not None
            }
            for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.ASSET_MATERIALIZATION)
        }
        planned, made = kinds.values()
        refused = {
            evaluation.asset_key
            for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            if (event := record.dagster_event) is not None
            and (evaluation := event.asset_check_evaluation_data).blocking
            and not evaluation.passed
            and evaluation.severity == dg.AssetCheckSeverity.ERROR
        }
        # A build that failed by itself finds nothing here, and is not repeated.
        keys = models_beside(context.repository_def.asset_graph, planned, made, refused)
        if not keys:
            return dg.SkipReason("nothing that could be built without what failed")
        return dg.RunRequest(run_key=run.run_id, asset_selection=sorted(keys))

    return sensor
