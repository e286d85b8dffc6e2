"""Requests of persons as the platform itself sees them: to carry them out, to watch deadlines, to show them in Dagster.

What does not belong here: what officers do, who sign in for it (``resources.erasure``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from resources.settings import Settings
from warehouse.errors import RequestRefused
from warehouse.postgres.sessions import connect, translated
from warehouse.state.agenda import Case, read_agenda
from warehouse.state.requests import Approval, Plan, read_approval, read_persons, read_plan
from warehouse.state.tasks import Task, read_tasks

_APPLICATION = "drivetrain agenda"


def agenda(settings: Settings) -> list[Case]:
    """Every request, oldest first.

    Raises:
        ServerUnavailable: the warehouse does not answer.
    """
    with connect(settings.warehouse(), read_only=True, application=_APPLICATION) as session, translated("warehouse"):
        return [_waiting(settings, case) for case in read_agenda(session)]


def _waiting(settings: Settings, case: Case) -> Case:
    return replace(case, waits_until=case.lake_due(settings.erasure_window)) if case.waits_for_lake else case


@dataclass(frozen=True)
class Seen:
    """One request with all that it has come to.

    Attributes:
        persons: how many it is about.
        plan: the newest.
        approval: of that plan.
        tasks: what was done at each place, over all runs.
    """

    case: Case
    persons: int
    plan: Plan | None
    approval: Approval | None
    tasks: tuple[Task, ...]


def look(settings: Settings, request: int) -> Seen:
    """One request; nothing is changed.

    Raises:
        RequestRefused: there is none of that number.
    """
    with connect(settings.warehouse(), read_only=True, application=_APPLICATION) as session, translated("warehouse"):
        case = next((case for case in read_agenda(session) if case.request.id == request), None)
        if case is None:
            raise RequestRefused(f"there is no request {request}", hint="The asset `erasure/requests` lists all.")
        plan = read_plan(session, request)
        approval = None if plan is None else read_approval(session, plan)
        return Seen(case, len(read_persons(session, request)), plan, approval, tuple(read_tasks(session, request)))
