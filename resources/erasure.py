"""Requests of persons, with the stores and the officers that the settings name.

What does not belong here: what a request does (``warehouse.erasure``), and who may do it (the database says).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.absence import Verifier, models_of
from resources.agenda import agenda
from resources.dbt import ensure_manifest
from resources.keys import ensure_keys, load_keys
from resources.officers import signed_in
from resources.opening import open_warehouse
from resources.settings import Settings
from resources.subjects import find_subjects, systems_with_persons
from warehouse.catalog.laws import load_laws
from warehouse.catalog.model import Law
from warehouse.erasure import batch
from warehouse.erasure.carrying import Outcome, Rebuild, run_request, settle, verify_request
from warehouse.erasure.deadlines import deadlines
from warehouse.erasure.estate import Estate
from warehouse.erasure.exporting import plan_export, refuse_several
from warehouse.erasure.identifiers import Identifier
from warehouse.erasure.models import NamingColumn
from warehouse.erasure.models import forget_in_models as forget
from warehouse.erasure.persons import Match
from warehouse.erasure.remnants import sweep
from warehouse.erasure.requests import plan_request
from warehouse.erasure.scope import Scope
from warehouse.erasure.survey import Survey
from warehouse.erasure.witness import Verdict
from warehouse.errors import ConfigurationError, RequestRefused
from warehouse.postgres.sessions import connect
from warehouse.state import requests as state
from warehouse.state.changes import feeds
from warehouse.state.requests import Approval, Deadlines, Person, Plan, Request, RequestKind
from warehouse.state.tasks import Task, read_tasks


@dataclass(frozen=True)
class Filed:
    """A request that was filed, and who may be meant: an officer confirms it."""

    request: Request
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Told:
    """One request, as far as it has come."""

    request: Request
    persons: tuple[Person, ...]
    plan: Plan | None
    approval: Approval | None
    tasks: tuple[Task, ...]
    mentions: tuple[Mapping[str, Any], ...]
    certificates: tuple[str, ...]


def estate(settings: Settings) -> Estate:
    """Every store; operational databases as a member of their tables' owner.

    Raises:
        ConfigurationError: a setting or the key file is missing.
    """
    catalog = settings.catalog()
    sources = {name: settings.maintenance(name) for name, system in catalog.systems.items() if system.person}
    return Estate(
        catalog, sources, settings.warehouse(), settings.lake(), settings.objects(), load_keys(settings),
        Verifier(settings), settings.caches(), settings.backups_kept, settings.get("ISSUER") or "Drivetrain",
    )  # fmt: skip


def file_request(
    settings: Settings,
    kind: RequestKind,
    law: Law,
    identifiers: Sequence[Identifier],
    received_at: dt.datetime,
    reference: str,
) -> Filed:
    """File a request, as a requester, and look who is meant.

    Raises:
        ConfigurationError: there is nothing to look for, or it was received in the future.
        AccessDenied: the officer is no requester.
    """
    if received_at > dt.datetime.now(dt.UTC) + dt.timedelta(minutes=10):
        raise ConfigurationError("nobody can have asked in the future", hint="Mend --received, or this clock.")
    keys = ensure_keys(settings)
    answers = find_subjects(settings, systems_with_persons(settings.catalog()), identifiers)
    failures = [failure for answer in answers for _, failure in answer.failures]
    if failures:  # whoever is only there would be forgotten
        raise failures[0]
    ends = deadlines(received_at, load_laws()[law])
    by = Deadlines(ends.confirm_by.ends if ends.confirm_by else None, ends.due.ends, ends.latest.ends)
    digests = [keys.digest(each.kind, each.normalised) for each in identifiers]
    sealed = estate(settings).seal_identifiers(list(identifiers))
    with signed_in(settings, "requester") as session:
        made = state.file_request(session, kind, law, received_at, by, sealed, digests, reference)
        state.move_request(session, made, "verifying")
        return Filed(state.read_request(session, made), tuple(match for each in answers for match in each.matches))


def persons_of(settings: Settings, request: int) -> list[Match]:
    """Who may be meant by a request, looked up anew: as a requester.

    Raises:
        RequestRefused: there is no such request.
    """
    stores = estate(settings)
    with signed_in(settings, "requester") as session:
        state.read_request(session, request)
        ((sealed,),) = session.execute(
            "SELECT identifiers FROM platform.erasure_request WHERE id = %s", (request,)
        ).fetchall()
    answers = find_subjects(settings, systems_with_persons(settings.catalog()), stores.open_identifiers(bytes(sealed)))
    return [match for answer in answers for match in answer.matches]


def confirm(settings: Settings, request: int, persons: Sequence[tuple[str, str]] | None) -> list[tuple[str, str]]:
    """Say whom a request is about, as a requester; with that it can be planned.

    Args:
        settings: where everything is.
        request: which.
        persons: system and key of each; None: all whom its identifiers lead to.

    Raises:
        RequestRefused: nobody is found, or somebody whom the identifiers do not lead to.
    """
    matches = persons_of(settings, request)
    known = {(match.system, match.key): match for match in matches}
    if persons is not None and (strange := [system for system, key in persons if (system, key) not in known]):
        raise RequestRefused(
            f"request {request}: the identifiers do not lead to that person of {strange[0]}",
            hint="`drivetrain erasure persons` shows whom they lead to.",
        )
    chosen = [known[each] for each in persons] if persons is not None else matches
    if not chosen:
        raise RequestRefused(
            f"request {request}: nobody is known by these identifiers",
            hint="Deny it with --reason no_match, or file it with other identifiers.",
        )
    stores = estate(settings)
    with signed_in(settings, "requester") as session, session.transaction():
        if state.read_request(session, request).kind == "export":
            refuse_several(request, (match.system for match in chosen))
        for match in chosen:
            digest = stores.person_digest(match.system, match.key)
            state.confirm_person(session, request, match.system, digest, sorted(match.kinds))
        state.move_request(session, request, "scoping")
    return [(match.system, match.key) for match in chosen]


def plan(settings: Settings, request: int) -> tuple[Plan, Survey]:
    """Count what a request would do, and seal it for approval."""
    plan_it = plan_export if _kind(settings, request) == "export" else plan_request
    return plan_it(estate(settings), request)


def _kind(settings: Settings, request: int) -> RequestKind:
    dsn = open_warehouse(settings, read_only=True)
    with connect(dsn, read_only=True, application="drivetrain erasure") as warehouse:
        return state.read_request(warehouse, request).kind


def approve(settings: Settings, request: int, sha256: str, valid_for: dt.timedelta) -> Approval:
    """Approve a request's newest plan, by its digest or the first twelve digits of it, as an approver.

    Raises:
        RequestRefused: it has another plan, or is in another state.
        AccessDenied: the officer is no approver, or filed the request.
    """
    with signed_in(settings, "approver") as session:
        sealed = _planned(session, request)
        if len(sha256) < 12 or not sealed.sha256.startswith(sha256.lower()):
            raise RequestRefused(
                f"request {request}: its newest plan is another one",
                hint=f"Look at it first: `drivetrain erasure status {request}`.",
            )
        state.approve_request(session, request, sealed.sha256, valid_for)
        approval = state.read_approval(session, sealed)
        assert approval is not None
        return approval


def _planned(session: state.Connection, request: int) -> Plan:
    state.read_request(session, request)
    sealed = state.read_plan(session, request)
    if sealed is None:
        raise RequestRefused(f"request {request} has no plan", hint=f"`drivetrain erasure plan {request}`.")
    return sealed


def deny(settings: Settings, request: int, reason: str, comment: str) -> None:
    """As an approver."""
    with signed_in(settings, "approver") as session:
        state.deny_request(session, request, reason, comment)


def revoke(settings: Settings, request: int, why: str) -> None:
    """As a requester."""
    with signed_in(settings, "requester") as session:
        state.revoke_request(session, request, why)


def extend(settings: Settings, request: int, why: str) -> Request:
    """Once, before it is due, as a requester."""
    with signed_in(settings, "requester") as session:
        state.extend_request(session, request, why)
        return state.read_request(session, request)


def run(
    settings: Settings,
    request: int,
    *,
    rebuild: Rebuild,
    tell: Callable[[str], None] = lambda _: None,
    run_id: str | None = None,
    lake: bool = True,
) -> Outcome:
    """Carry an approved request out, or go on where it was cut off; its months in the ``lake`` at once, or not yet."""
    return run_request(estate(settings), request, rebuild=rebuild, tell=tell, run_id=run_id, lake=lake)


def run_batch(
    settings: Settings,
    *,
    rebuild: Rebuild,
    only_due: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    run_id: str | None = None,
) -> list[Outcome]:
    """Write the lake anew for all requests that wait for it, and end them; with ``only_due`` only if one has to be."""
    found, now = [case for case in agenda(settings) if case.waits_for_lake], dt.datetime.now(dt.UTC)
    if only_due and not any(case.waits_until and case.waits_until <= now for case in found):
        return []
    numbers = [case.request.id for case in found]
    return batch.run_batch(estate(settings), numbers, rebuild=rebuild, tell=tell, run_id=run_id) if numbers else []


def verify(settings: Settings, request: int, *, deep: bool, tell: Callable[[str], None] = lambda _: None) -> Verdict:
    """Somebody else looks for the persons of a request, whatever its state; changes nothing.

    Raises:
        RequestRefused: there is none, or nobody has found out yet whom it is about.
    """
    return verify_request(estate(settings), request, deep=deep, tell=tell)


def settle_expired(settings: Settings) -> list[int]:
    """Requests that were waiting for the last backup to expire, and are over now."""
    stores, today = estate(settings), dt.datetime.now(dt.UTC).date()
    with connect(settings.warehouse(), read_only=True, application="drivetrain erasure") as session:
        waiting = [each.id for each in state.read_requests(session) if each.state == "completed_pending_backup_expiry"]
    return [each for each in waiting if settle(stores, each, today)]


def certificates(settings: Settings, request: int) -> list[tuple[str, bytes]]:
    """Number and file of each certificate of a request, the newest last; as an auditor.

    Raises:
        RequestRefused: there is no such request, or none was issued.
    """
    with signed_in(settings, "auditor") as session:
        found = state.read_request(session, request)
        issued = state.read_certificates(session, request)
        if not issued:
            raise RequestRefused(
                f"request {request} is {found.state}: no certificate was issued",
                hint="`drivetrain erasure status` says what is next.",
            )
        return issued


def forget_in_models(settings: Settings, scopes: Mapping[str, Scope]) -> dict[str, int]:
    """Take persons out of models that name them still after they were made anew; rows by table."""
    models = models_of(ensure_manifest(settings), settings.catalog().systems)
    gone: dict[str, int] = {}
    with connect(settings.warehouse(), application="drivetrain erasure") as warehouse:
        for name, scope in scopes.items():
            columns = [
                NamingColumn(schema, table, column)
                for (schema, table), model in models.items()
                if model.system == name
                for column in sorted(model.persons)
            ]
            gone |= forget(warehouse, columns, scope.persons)
        sweep(warehouse, feeds(warehouse))  # read and emptied by now; what went through is in statistics still
    return gone


def requests(settings: Settings) -> list[Request]:
    """All, oldest first."""
    with signed_in(settings, "auditor") as session:
        return state.read_requests(session)


def tell(settings: Settings, request: int) -> Told:
    """All that there is to say of a request.

    Raises:
        RequestRefused: there is none of that number.
    """
    with signed_in(settings, "auditor") as session:
        found = state.read_request(session, request)
        sealed = state.read_plan(session, request)
        approval = None if sealed is None else state.read_approval(session, sealed)
        return Told(
            found, tuple(state.read_persons(session, request)), sealed, approval, tuple(read_tasks(session, request)),
            tuple(state.read_mentions(session, request)),
            tuple(number for number, _ in state.read_certificates(session, request)),
        )  # fmt: skip
