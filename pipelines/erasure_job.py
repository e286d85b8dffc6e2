"""The job that carries one request out: launched by the sensor of erasures, or by hand, as a dry run at first.

What does not belong here: what it does (``warehouse.erasure``), and which requests are due (``sensors.erasure``).
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from pydantic import Field

from assets.erased import observed, outcome_metadata, plan_metadata
from assets.failures import failed
from pipelines.erasing import rebuild_for
from resources import erasure
from resources.agenda import Seen, look
from resources.attempts import DONE, DRY_RUN, ELSEWHERE, JOB, OP, OUTCOME, PLAN, REQUEST, STOPPED, WAITS
from resources.settings import Settings
from warehouse.errors import Busy, DrivetrainError
from warehouse.state.agenda import ANSWERED


class ErasureConfig(dg.Config):
    """Which request, and whether anything is erased."""

    request: int = Field(ge=1, description="Number of the request; the asset erasure/requests lists all.")
    dry_run: bool = Field(
        default=True,
        description="Only show the sealed plan, and what a run would do now. Nothing is deleted until this is false.",
    )


@dataclass(frozen=True)
class _Came:
    """What came of a run: for its tag, in words, and counted."""

    outcome: str
    said: str
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dg.op(
    name=OP,
    pool="warehouse",
    description=(
        "Carries out one request of a person that another person approved, or goes on where it was cut off: files, "
        "caches, operational databases, warehouse, lake, models. Then somebody else looks everywhere. Cannot be undone."
    ),
)
def erase(context: dg.OpExecutionContext, config: ErasureConfig) -> None:
    """Errors that may pass are retried, here and by the sensor; any other waits for somebody."""
    settings = Settings.load()
    try:
        seen = look(settings, config.request)
        context.log.info(f"Request {config.request} is {seen.case.request.state}.")
        came = _shown(seen) if config.dry_run else _carried_out(context, settings, seen)
    except DrivetrainError as error:
        if not (isinstance(error, Busy) and look(settings, config.request).case.worked_on):
            _tag(context, {OUTCOME: WAITS if error.transient else STOPPED})
            raise failed(error, context.retry_number) from error
        came = _Came(ELSEWHERE, error.message)
    context.log.info(f"Request {config.request}: {came.said}")
    context.log_event(observed(config.request, came.said, came.metadata))
    _tag(context, {OUTCOME: came.outcome})
    if came.outcome == STOPPED:
        raise dg.Failure(f"request {config.request} is {came.said}", allow_retries=False)


def _shown(seen: Seen) -> _Came:
    """Nothing is changed."""
    told = plan_metadata(seen, dt.datetime.now(dt.UTC))
    return _Came(DRY_RUN, f"a dry run. A run would {told['a_run_would']}.", told)


def _carried_out(context: dg.OpExecutionContext, settings: Settings, seen: Seen) -> _Came:
    number, state = seen.case.request.id, seen.case.request.state
    _tag(context, {REQUEST: str(number), PLAN: seen.case.plan or ""})
    if state in ANSWERED:
        return _Came(DONE, f"is {state}: there is nothing to do")
    rebuild, tell = rebuild_for(settings, number, context.instance), _steps(context, number)
    if seen.case.waits_for_lake:
        every = erasure.run_batch(settings, rebuild=rebuild, tell=tell, run_id=context.run.run_id)
        outcome = next((each for each in every if each.request == number), None)
        if outcome is None:
            return _Came(STOPPED, "held: see `drivetrain hold list`")
    else:
        at_once = settings.erasure_window.count == 0
        outcome = erasure.run(
            settings, number, rebuild=rebuild, tell=tell, run_id=context.run.run_id, lake=at_once
        )  # fmt: skip
    told = outcome_metadata(outcome)
    if outcome.certificate:
        return _Came(DONE, outcome.state, told)
    if outcome.verdict is None:
        return _Came(WAITS, "hidden and gone from everywhere but the lake, which is written anew with others'", told)
    left, unseen = told["rows_left"], len(outcome.verdict.unseen)
    return _Came(STOPPED, f"{outcome.state}: {left:,} left (by_place), {unseen} not looked at (not_looked_at)", told)


@dg.job(
    name=JOB,
    description="Carry out one approved request of a person. Launched by hand it is a dry run unless told otherwise.",
    config={"ops": {OP: {"config": {"request": 0, "dry_run": True}}}},
)
def erasure_job() -> None:
    """One op: what it does is resumable by itself."""
    erase()


def _steps(context: dg.OpExecutionContext, request: int) -> Callable[[str], None]:
    """Log each step, but not every place that the verifier looks at: a line is a row in Dagster's storage."""
    looking = False

    def tell(step: str) -> None:
        nonlocal looking
        looking = step == "verifying" or (looking and step != "counting what is left")
        if not looking or step == "verifying":
            context.log.info(f"Request {request}: {step}")

    return tell


def _tag(context: dg.OpExecutionContext, tags: dict[str, str]) -> None:
    context.instance.add_run_tags(context.run.run_id, tags)
