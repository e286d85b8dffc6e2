"""Runs of Dagster that carry requests out: which there were, and whether a request gets another one now.

Backing off is by the runs themselves: they outlive the process that looks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from warehouse.state.agenda import Case

#: Name of the job, and of its one op.
JOB, OP = "erasure", "erase"
#: Tags of its runs, and of the runs that it starts: of which request, under which approved plan, what came of it.
REQUEST, PLAN, OUTCOME = "drivetrain/request", "drivetrain/plan", "drivetrain/outcome"
#: What can come of a run. Only those that wait are repeated.
DONE, DRY_RUN, ELSEWHERE, WAITS, STOPPED = "done", "dry run", "somebody else is on it", "waits", "needs somebody"
#: Before the second attempt, the third ...; the last again and again: a deadline is running.
PAUSES = (dt.timedelta(minutes=5), dt.timedelta(minutes=15), dt.timedelta(hours=1), dt.timedelta(hours=4))
#: A run that says nothing for so long, while nobody works on its request, lost its process.
_SILENCE = dt.timedelta(minutes=15)
_ACTIVE = (
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
)  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """One run that was to carry a request out.

    Attributes:
        active: it is queued or at work.
        plan: first digits of the plan that it carried out; empty if it had not begun.
        outcome: what came of it; empty if it was killed or is active.
        ended_at: when.
    """

    run_id: str
    active: bool
    plan: str = ""
    outcome: str = ""
    ended_at: dt.datetime | None = None

    @property
    def told(self) -> str:
        """How it stands, in a word or two."""
        return "at work" if self.active else self.outcome or "cut off"


def request_of(run: dg.DagsterRun) -> int | None:
    """The request that a run was asked to carry out; None of a dry run."""
    ops: Mapping[str, Any] = run.run_config.get("ops", {})  # type: ignore[assignment]
    config: Mapping[str, Any] = ops.get(OP, {}).get("config", {})
    return None if config.get("dry_run", True) else config.get("request")


def read_attempts(instance: dg.DagsterInstance) -> dict[int, list[Attempt]]:
    """Newest first, by request: all that are active, and the newest of those that ended."""
    found: dict[int, list[Attempt]] = {}
    for record in instance.get_run_records(dg.RunsFilter(job_name=JOB), limit=500):
        run = record.dagster_run
        number = request_of(run)
        if number is not None:
            ended = dt.datetime.fromtimestamp(record.end_time, dt.UTC) if record.end_time else record.update_timestamp
            canceled = run.status == dg.DagsterRunStatus.CANCELED
            outcome = STOPPED if canceled else run.tags.get(OUTCOME, "")
            found.setdefault(number, []).append(
                Attempt(run.run_id, run.status in _ACTIVE, run.tags.get(PLAN, ""), outcome, ended)
            )
    return found


def under_its_plan(case: Case, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those that ended since the newest plan was approved: a new approval begins anew."""
    return [each for each in attempts if not each.active and each.plan == case.plan]


def standing_against(case: Case, attempts: Sequence[Attempt], at: dt.datetime) -> str:
    """Why a request that is to be carried out gets no run now; empty if it gets one.

    Args:
        case: which.
        attempts: of it, newest first.
        at: now.
    """
    if case.worked_on:
        return "somebody is at work on it"
    if any(each.active for each in attempts):
        return "a run is queued or at work"
    if case.waits_until is not None and at < case.waits_until:
        return f"its months in the lake wait for those of others, until {case.waits_until:%Y-%m-%d %H:%M} UTC"
    ended = under_its_plan(case, attempts)
    if not ended:
        return ""
    if ended[0].outcome == STOPPED:
        return f"see why its last run stopped; then `drivetrain erasure run {case.request.id}`"
    again = (ended[0].ended_at or at) + PAUSES[min(len(ended), len(PAUSES)) - 1]
    return f"is tried again after {again:%Y-%m-%d %H:%M} UTC" if at < again else ""


def lost_process(instance: dg.DagsterInstance, run_id: str, at: dt.datetime) -> bool:
    """Whether a run that should be at work has said nothing for long. Ask only where nobody works on its request."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.status not in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING):
        return False
    newest = instance.get_records_for_run(run_id, limit=1, ascending=False).records
    return bool(newest) and at - dt.datetime.fromtimestamp(newest[0].timestamp, dt.UTC) > _SILENCE
