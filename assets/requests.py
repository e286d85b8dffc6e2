"""The asset of persons' requests: how each stands, what is due when, what is next; nothing by which a person is known.

It is materialised daily, which alerts on what is late or soon due, and ends what waited for backups to expire; and by
the sensor of erasures whenever it changes.

What does not belong here: carrying a request out (``pipelines.erasure_job``), and what came of it (``erased``).
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from assets import keys
from assets.failures import failed
from assets.telling import told_check, told_table
from resources import erasure
from resources.agenda import agenda
from resources.alerts import Alerts
from resources.attempts import Attempt, read_attempts, standing_against
from resources.settings import Settings
from warehouse.errors import DrivetrainError
from warehouse.state.agenda import Case

#: Names of the checks, and what each says.
NONE_OVERDUE, NONE_DUE_SOON = "none_overdue", "none_due_soon"
CHECKS = {
    NONE_OVERDUE: "Every request was answered by its deadline. If one was not, the daily run fails, and alerts.",
    NONE_DUE_SOON: "No request, or confirmation of its receipt, is due within days. If one is, the daily run alerts.",
}
#: How many days before its deadline a request is due soon, if nothing else is asked for.
SOON_DAYS = 7
#: So many of those that are over are shown, the newest.
_OVER_SHOWN = 25
_WAITS_FOR_BACKUPS = "completed_pending_backup_expiry"
#: States whose reason is a code or the number of a hold; other reasons are what an officer wrote.
_TOLD_REASONS = ("denied", "blocked_hold", "failed_needs_operator")
_COLUMNS = ("request", "state", "answer before (UTC)", "what is next")


class DeadlinesConfig(dg.Config):
    """What is said to be due soon."""

    soon_days: int = Field(
        default=SOON_DAYS,
        ge=1,
        le=60,
        description="How many days before its deadline a request is said to be due soon.",
    )


def requests_asset() -> dg.AssetsDefinition:
    """The one asset of all requests."""
    key = keys.requests()

    @dg.asset(
        key=key,
        group_name=keys.REQUESTS,
        description=(
            "Requests of persons to be erased, to have their data, or to have its use restricted: how far each is, by "
            "when it is to be answered, and what is next. Officers file and approve them on the command line "
            "(`drivetrain erasure`); the sensor `erasure_requests` carries out what is approved."
        ),
        kinds={"postgres"},
        check_specs=[dg.AssetCheckSpec(name, asset=key, description=said) for name, said in CHECKS.items()],
    )
    def requests(context: dg.AssetExecutionContext, config: DeadlinesConfig, alerts: Alerts) -> Iterator[Any]:
        at, soon = dt.datetime.now(dt.UTC), dt.timedelta(days=config.soon_days)
        try:
            settings = Settings.load()
            cases = agenda(settings)
            if any(each.request.state == _WAITS_FOR_BACKUPS for each in cases) and erasure.settle_expired(settings):
                cases = agenda(settings)
        except DrivetrainError as error:
            raise failed(error, context.retry_number) from error
        checks = list(deadline_checks(cases, at, soon))
        told = requests_metadata(cases, read_attempts(context.instance), at, soon)
        yield dg.MaterializeResult(metadata=told, check_results=checks)
        due = [_named(each, at) for each in cases if each.due_soon(at, soon)]
        if due:
            alerts.send("requests of persons are due soon", "\n".join(due))
        if late := [_named(each, at) for each in cases if each.overdue(at)]:
            # The run fails, so that whoever is alerted about failed runs hears of it.
            raise dg.Failure(description=f"overdue: {'; '.join(late)}", allow_retries=False)

    return requests


def requests_events(
    cases: Sequence[Case], attempts: Mapping[int, Sequence[Attempt]], at: dt.datetime
) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """The same without a run, for a sensor that sees a change."""
    key, soon = keys.requests(), dt.timedelta(days=SOON_DAYS)
    return [
        dg.AssetMaterialization(key, metadata=requests_metadata(cases, attempts, at, soon)),
        *(
            dg.AssetCheckEvaluation(
                asset_key=key,
                check_name=str(each.check_name),
                passed=each.passed,
                metadata=each.metadata,
                severity=each.severity,
            )
            for each in deadline_checks(cases, at, soon)
        ),
    ]


def deadline_checks(cases: Sequence[Case], at: dt.datetime, soon: dt.timedelta) -> Iterator[dg.AssetCheckResult]:
    """What is late, and what will be."""
    for name, wrong, severity in (
        (NONE_OVERDUE, [each for each in cases if each.overdue(at)], dg.AssetCheckSeverity.ERROR),
        (NONE_DUE_SOON, [each for each in cases if each.due_soon(at, soon)], dg.AssetCheckSeverity.WARN),
    ):
        yield told_check(name, [_named(each, at) for each in wrong], severity)


def requests_metadata(
    cases: Sequence[Case], attempts: Mapping[int, Sequence[Attempt]], at: dt.datetime, soon: dt.timedelta
) -> dict[str, Any]:
    """Numbers plot over time in the UI; the tables say which."""
    is_open = sorted((each for each in cases if each.open), key=lambda each: each.request.due_at)
    over = [each for each in reversed(cases) if not each.open][:_OVER_SHOWN]
    open_rows = [_row(each, attempts.get(each.request.id, ()), at) for each in is_open]
    over_rows = [_row(each, attempts.get(each.request.id, ()), at) for each in over]
    return {
        "open": len(is_open),
        "overdue": sum(each.overdue(at) for each in cases),
        "due_soon": sum(each.due_soon(at, soon) for each in cases),
        "wait_for_approval": sum(each.request.state == "awaiting_approval" for each in cases),
        "answered": len(cases) - len(is_open),
        "requests": told_table(_COLUMNS, open_rows, "No request is open."),
        "answered_last": told_table(_COLUMNS, over_rows, "None was answered yet."),
    }


def _row(case: Case, attempts: Sequence[Attempt], at: dt.datetime) -> str:
    """Few columns that can be broken: the page of an asset is narrow."""
    found = case.request
    reason = f" ({found.reason})" if found.reason and found.state in _TOLD_REASONS else ""
    left = f"**{_left(case, at)}**, " if case.open else ""
    following = (case.to_carry_out and standing_against(case, attempts, at)) or case.next
    last = attempts[0] if attempts else None
    run = f" ([last run](/runs/{last.run_id}): {last.told})" if last else ""
    return (
        f"| {found.id}: {found.kind}, {found.law} | {found.state.replace('_', ' ')}{reason} "
        f"| {left}{found.due_at:%Y-%m-%d %H:%M} | {following}{run} |"
    )


def _named(case: Case, at: dt.datetime) -> str:
    found = case.request
    unconfirmed = case.open and found.confirm_by is not None and found.state in ("received", "verifying")
    confirm = f", receipt to be confirmed before {found.confirm_by:%Y-%m-%d}" if unconfirmed else ""
    return f"request {found.id} ({found.kind}, {found.law}): {_left(case, at)}{confirm}; {found.state}"


def _left(case: Case, at: dt.datetime) -> str:
    days = case.days_left(at)
    return f"{-days} days late" if case.overdue(at) else f"{days} days left"
