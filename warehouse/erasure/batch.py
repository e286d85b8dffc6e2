"""Months in the lake are written anew for many requests in one pass: a file that many touch is written once.

Meanwhile the persons are gone from everywhere else, and hidden from every reader. What does not belong here: what is
done for one request alone (``carrying``).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from warehouse.erasure.below import erase_below, look_below
from warehouse.erasure.carrying import Case, Outcome, Rebuild, opened, run_request
from warehouse.erasure.estate import Estate
from warehouse.erasure.requests import holding, operator_of
from warehouse.erasure.scope import Scope
from warehouse.erasure.sealed import Kept
from warehouse.erasure.survey import ACTIONS, replacement
from warehouse.errors import LegalHold, TransientError
from warehouse.postgres.introspection import read_table
from warehouse.postgres.sessions import Connection
from warehouse.state.tasks import begin_task, end_task, read_tasks
from warehouse.state.tiered import tiered


def run_batch(
    estate: Estate,
    requests: Sequence[int],
    *,
    rebuild: Rebuild,
    tell: Callable[[str], None] = lambda _: None,
    run_id: str | None = None,
) -> list[Outcome]:
    """Write the lake anew for requests that wait for it, in one pass, and end them.

    One that is held by now is left out, and says so in its state. If anything is left, each goes on by itself.

    Raises:
        Busy: somebody else is working on one of them.
        TransientError: a store does not answer; what was done is done, and the same call goes on.
    """
    with ExitStack() as stack:
        cases: list[Case] = []
        for number in requests:
            operator = stack.enter_context(operator_of(estate, number))
            case = opened(estate, operator, number, tell, run_id)
            if found := holding(operator, case.steps.kept):
                case.move("blocked_hold", {"reason": ", ".join(found)})
                continue
            if case.state == "retry_wait":
                case.move("executing")
            cases.append(case)
        stack.enter_context(_failing(cases))
        kept = _together([case.steps.kept for case in cases])
        for name, each in sorted(kept.items()):
            for table in sorted(each.scope.values):
                if estate.catalog.systems[name].tables[table].erasure.action in ACTIONS:
                    tell(f"{name}.{table} (lake)")
                    _pass(estate, cases, name, table, each, run_id)
        for case in cases:
            case.move("rebuilding")
        tell("models")
        rebuild({name: each.scope for name, each in sorted(kept.items())})
        for case in cases:
            case.move("verifying_erasure")
        tell("verifying")
        verdict = estate.witness.look(kept, tell=tell) if cases else None
        if verdict is not None and verdict.clean:
            judged = [(case, case.judge(verdict)) for case in cases]
            if not any(left for _, left in judged):
                return [case.complete(verdict) for case in cases]
    return [run_request(estate, case.request.id, rebuild=rebuild, tell=tell, run_id=run_id) for case in cases]


@contextmanager
def _failing(cases: Sequence[Case]) -> Generator[None]:
    """What ends the block is each request's state; a hold only that of those whom it holds."""
    try:
        yield
    except TransientError as error:
        for case in cases:
            if case.state == "executing":
                case.move("retry_wait", {"failure": type(error).__name__})
        raise
    except LegalHold:
        for case in cases:
            if case.state == "executing" and (found := holding(case.operator, case.steps.kept)):
                case.move("blocked_hold", {"reason": ", ".join(found)})
        raise


def _pass(estate: Estate, cases: Sequence[Case], name: str, table: str, each: Kept, run_id: str | None) -> None:
    """One table for all; how many rows of it are whose is counted before."""
    system, operator, place = estate.catalog.systems[name], cases[0].operator, f"{name}.{table}"
    if read_table(operator, system.raw_schema, table) is None:
        return
    concerned = [case for case in cases if name in case.steps.kept and table in case.steps.kept[name].scope.values]
    rows = {
        case.request.id: sum(
            found.rows
            for found in look_below(
                operator, tiered(operator, system, table, estate.lake), case.steps.kept[name].scope.about(table),
                replacement(system, table, case.steps.kept[name]),
            )
            if found.tier == "cold"
        )
        for case in concerned
    }  # fmt: skip

    planned = {
        case.request.id
        for case in concerned
        if any((task.store, task.place) == ("lake", place) for task in read_tasks(case.operator, case.request.id))
    }
    action = system.tables[table].erasure.action
    touched = [case for case in concerned if rows[case.request.id] or case.request.id in planned]
    for case in touched:
        begin_task(case.operator, case.request.id, "lake", place, action)

    def permitted(connection: Connection) -> None:
        for case in concerned:
            case.steps.permitted(connection)

    numbers = ", ".join(str(case.request.id) for case in concerned)
    erase_below(
        estate.places(name), system, table, each.scope.about(table), f"requests {numbers}",
        replacement(system, table, each), permitted=permitted, run_id=run_id,
    )  # fmt: skip
    for case in touched:
        end_task(case.operator, case.request.id, "lake", place, rows[case.request.id])


def _together(every: Sequence[Mapping[str, Kept]]) -> dict[str, Kept]:
    """The persons of all requests, by system."""
    joined: dict[str, Kept] = {}
    for kept in every:
        for name, each in kept.items():
            known = joined.get(name)
            joined[name] = each if known is None else _joined(known, each)
    return joined


def _joined(one: Kept, other: Kept) -> Kept:
    def values(table: str, column: str) -> frozenset[str]:
        return frozenset({*one.scope.about(table).get(column, ()), *other.scope.about(table).get(column, ())})

    tables = {*one.scope.values, *other.scope.values}
    scope = Scope(
        one.scope.system,
        one.scope.persons | other.scope.persons,
        {
            table: {column: values(table, column) for column in {*one.scope.about(table), *other.scope.about(table)}}
            for table in tables
        },
    )
    return Kept(scope, {**one.pseudonyms, **other.pseudonyms}, (*one.known, *other.known))
