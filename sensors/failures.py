"""Every failed run becomes an alert."""

import dagster as dg

from resources.alerts import Alerts


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
