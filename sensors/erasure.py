"""What follows an approval: a run that carries the request out, another where one was cut off; and the table of all."""

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence

import dagster as dg

from resources.agenda import agenda
from resources.attempts import OP, PLAN, REQUEST, Attempt, lost_process, read_attempts, standing_against, under_its_plan
from resources.settings import Settings
from warehouse.errors import TransientError
from warehouse.state.agenda import Case

#: What is shown of requests: of these, with the runs by request, at a moment.
Events = Callable[
    [Sequence[Case], Mapping[int, Sequence[Attempt]], dt.datetime],
    list[dg.AssetMaterialization | dg.AssetCheckEvaluation],
]


def erasure_sensor(job: dg.JobDefinition, events: Events) -> dg.SensorDefinition:
    """Every minute: launch what is approved or was cut off, once each, and show how all requests stand if that changed.

    Args:
        job: carries out one request.
        events: what is shown.
    """

    @dg.sensor(
        name="erasure_requests",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Carries out requests of persons that are approved, and goes on with those that wait or were cut off: one "
            "run at a time for each, later and later after failures that may pass. Shows all in `erasure/requests`."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        at = dt.datetime.now(dt.UTC)
        try:
            cases = agenda(Settings.load())
        except TransientError as error:
            return dg.SkipReason(error.message)
        _end_lost_runs(context.instance, cases, at)
        attempts = read_attempts(context.instance)
        against = {
            case: standing_against(case, attempts.get(case.request.id, ()), at) for case in cases if case.to_carry_out
        }
        launched = [_launch(case, attempts.get(case.request.id, ())) for case, why in against.items() if not why]
        waiting = "; ".join(f"request {case.request.id}: {why}" for case, why in against.items() if why)
        told = events(cases, attempts, at)
        digest = hashlib.sha256(repr(told).encode()).hexdigest()
        return dg.SensorResult(
            run_requests=launched,
            skip_reason=None if launched else waiting or "no request is approved or under way",
            asset_events=told if digest != context.cursor else [],
            cursor=digest,
        )

    return sensor


def _launch(case: Case, attempts: Sequence[Attempt]) -> dg.RunRequest:
    """One run for this attempt under this plan, however often it is asked for."""
    number, attempt = case.request.id, len(under_its_plan(case, attempts)) + 1
    return dg.RunRequest(
        run_key=f"request {number}, plan {case.plan}, attempt {attempt}",
        run_config={"ops": {OP: {"config": {"request": number, "dry_run": False}}}},
        tags={REQUEST: str(number), PLAN: case.plan or ""},
    )


def _end_lost_runs(instance: dg.DagsterInstance, cases: Sequence[Case], at: dt.datetime) -> None:
    """Nobody else ends a run whose process was killed, and as long as it counts as running there is no other."""
    idle = {case.request.id for case in cases if not case.worked_on}
    for number, attempts in read_attempts(instance).items():
        for attempt in attempts:
            run = instance.get_run_by_id(attempt.run_id) if attempt.active and number in idle else None
            if run is not None and lost_process(instance, run.run_id, at):
                instance.report_run_failed(run, "The process of this run was killed. Another run goes on from there.")
