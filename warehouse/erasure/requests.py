"""Plan a request: whose rows there are, what would become of them, and whether a hold is in the way.

What does not belong here: carrying it out (``carrying``).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from warehouse.catalog.version import policy_version
from warehouse.erasure.estate import Estate
from warehouse.erasure.identifiers import Identifier
from warehouse.erasure.operational import operational_reader, raw_reader
from warehouse.erasure.persons import find_persons
from warehouse.erasure.replacing import make_pseudonyms
from warehouse.erasure.scope import Scope, find_scope
from warehouse.erasure.sealed import Kept, pack, unpack
from warehouse.erasure.survey import Survey, survey
from warehouse.errors import Busy, LegalHold, RequestRefused
from warehouse.postgres.sessions import Connection, connect
from warehouse.state.audit import head_kept
from warehouse.state.holds import read_holds
from warehouse.state.requests import (
    Plan,
    move_request,
    read_persons,
    read_request,
    read_scope,
    seal_plan,
    write_scope,
)
from warehouse.state.tombstones import refuse_restored

APPLICATION = "drivetrain erasure"
_REPLANNED = ("planned", "awaiting_approval", "approved", "blocked_hold", "failed_needs_operator")


@contextmanager
def operator_of(estate: Estate, request: int) -> Generator[Connection]:
    """The platform's own session; nobody else works on the request, and the warehouse knows of all others."""
    with (
        connect(estate.warehouse, application=APPLICATION) as operator,
        head_kept(operator, estate.lake),
    ):
        row = operator.execute(
            "SELECT pg_try_advisory_lock(hashtextextended('drivetrain request ' || %s, 0))", (request,)
        ).fetchone()
        if row is None or not row[0]:
            raise Busy(f"request {request}: somebody else is working on it", hint="Nothing was changed. Look again.")
        refuse_restored(operator, estate.lake)
        yield operator


def plan_request(estate: Estate, request: int) -> tuple[Plan, Survey]:
    """Find out what a request demands, and seal it for approval; again, if it was planned before.

    Raises:
        RequestRefused: it is not to be planned in its state, or nobody of those whom it is about is found any more.
        LegalHold: it has to wait; the request says so.
        ErasureRefused: something stands in the way.
        ServerUnavailable, LakeUnavailable: a store does not answer.
    """
    with operator_of(estate, request) as operator:
        found = read_request(operator, request)
        if found.kind != "erasure":
            raise RequestRefused(
                f"request {request} is for {found.kind}: it is not planned, and erases nobody",
                hint="`drivetrain erasure status` says what is next.",
            )
        if found.state in _REPLANNED:
            move_request(operator, request, "scoping", {"why": "planned anew"})
        elif found.state != "scoping":
            raise RequestRefused(
                f"request {request} is {found.state}", hint="A request is planned when its persons are confirmed."
            )
        kept = scoped(estate, operator, request)
        refuse_held(operator, request, kept)
        surveyed = survey(estate, kept)
        persons = {name: len(each.scope.persons) for name, each in kept.items()}
        with operator.transaction():
            write_scope(operator, request, pack(kept, estate.keys, request))
            plan = seal_plan(
                operator, request, surveyed.document(request, found.law, persons, policy_version(estate.catalog))
            )
            move_request(operator, request, "planned", {"plan": plan.sha256})
            move_request(operator, request, "awaiting_approval")
        return plan, surveyed


def scoped(estate: Estate, operator: Connection, request: int) -> dict[str, Kept]:
    """Whose rows, by system. Pseudonyms that were given once stay: rows may bear them already."""
    sealed = read_scope(operator, request)
    before = unpack(sealed, estate.keys, request) if sealed is not None else {}
    looked_for = asked_for(estate, operator, request)
    confirmed: dict[str, set[bytes]] = {}
    for person in read_persons(operator, request):
        confirmed.setdefault(person.system, set()).add(bytes(person.digest))
    kept: dict[str, Kept] = {}
    for name, digests in sorted(confirmed.items()):
        system = estate.catalog.systems.get(name)
        if system is None or system.person is None:
            raise RequestRefused(f"request {request}: the catalog has no persons of {name} any more")
        with connect(estate.sources[name], see_all_rows=True, application=APPLICATION) as source:
            matches = [
                *(find_persons(source, system, looked_for, "operational") or []),
                *(find_persons(operator, system, looked_for, "warehouse") or []),
            ]
            known = before[name].scope.persons if name in before else frozenset[str]()
            keys = {
                each
                for each in {match.key for match in matches} | known
                if digests & set(estate.keys.digests(f"person of {name}", each))
            }
            if len(keys) < len(digests):
                raise RequestRefused(
                    f"request {request}: {len(digests) - len(keys)} of {len(digests)} persons of {name} are not found",
                    hint="They are known by other identifiers by now, or are gone. File a new request.",
                )
            readers = [operational_reader(source, system), raw_reader(operator, system)]
            scope = find_scope(system, keys, readers)
        given = dict(before[name].pseudonyms) if name in before else {}
        lacking = keys - set(given)
        if lacking and any(table.erasure.action == "pseudonymise" for table in system.tables.values()):
            given |= make_pseudonyms(system.tables[system.person.table].columns[system.person.key].type, lacking)
        words = {*estate.witness.known(name, keys), *(before[name].known if name in before else ())}
        kept[name] = Kept(_joined(scope, before.get(name)), given, tuple(sorted(words)))
    return kept


def asked_for(estate: Estate, operator: Connection, request: int) -> list[Identifier]:
    """What the person of a request is looked for by."""
    ((sealed,),) = operator.execute(
        "SELECT identifiers FROM platform.erasure_request WHERE id = %s", (request,)
    ).fetchall()
    return estate.open_identifiers(bytes(sealed))


def _joined(scope: Scope, before: Kept | None) -> Scope:
    """With the ways that were found before: rows on them may be gone by now."""
    if before is None:
        return scope
    values = {
        table: {
            column: scope.about(table).get(column, frozenset()) | before.scope.about(table).get(column, frozenset())
            for column in {*scope.about(table), *before.scope.about(table)}
        }
        for table in {*scope.values, *before.scope.values}
    }
    return Scope(scope.system, scope.persons, values)


def holding(operator: Connection, kept: Mapping[str, Kept]) -> list[str]:
    """Holds that cover any of it, as they are named."""
    found: list[str] = []
    for name, each in kept.items():
        for hold in read_holds(operator, name):
            of_person = hold.subject is None or hold.subject in each.scope.persons
            if of_person and (hold.table is None or hold.table in each.scope.values):
                found.append(f"hold {hold.id}")
    return found


def refuse_held(operator: Connection, request: int, kept: Mapping[str, Kept]) -> None:
    found = holding(operator, kept)
    if not found:
        return
    told = ", ".join(dict.fromkeys(found))
    if read_request(operator, request).state != "blocked_hold":
        move_request(operator, request, "blocked_hold", {"reason": told})
    raise LegalHold(
        f"request {request} has to wait: {told}",
        hint="`drivetrain hold list` says why. When it is released, plan again: `drivetrain erasure plan`.",
    )
