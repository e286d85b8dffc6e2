"""Restrict the use of a person's data: nothing is deleted, and no reader is shown a row of theirs.

What does not belong here: what readers leave out (``warehouse.state.restrictions``), and who may end it (the database).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from warehouse.erasure.estate import Estate
from warehouse.erasure.requests import operator_of, scoped
from warehouse.erasure.scope import Scope, keys_of
from warehouse.errors import RequestRefused
from warehouse.postgres.sessions import Connection
from warehouse.state.requests import move_request, read_request
from warehouse.state.restrictions import Restricted, read_restricted, restrict


def start_restriction(
    estate: Estate, request: int, ready: Callable[[Connection, Mapping[str, Scope]], None]
) -> list[Restricted]:
    """Hide the persons whom a request for restriction is about; returns by how many keys, of each system.

    Args:
        estate: every store: whoever is only in one of them is found there.
        request: which; its persons are confirmed.
        ready: is asked first whether readers would leave the rows of these out, and raises if not.

    Raises:
        RequestRefused: it is of another kind, or in another state, or nobody of those whom it is about is found.
        ServerUnavailable: a store does not answer.
    """
    with operator_of(estate, request) as operator:
        found = read_request(operator, request)
        if found.kind != "restriction" or found.state != "scoping":
            raise RequestRefused(
                f"request {request} ({found.kind}) is {found.state}: there is nothing to restrict",
                hint="File it with --kind restriction, and confirm whom it is about: `drivetrain erasure confirm`.",
            )
        scopes = {name: each.scope for name, each in scoped(estate, operator, request).items()}
        ready(operator, scopes)
        with operator.transaction():
            added = {
                name: restrict(operator, request, name, keys_of(estate.catalog.systems[name], scope))
                for name, scope in scopes.items()
            }
            move_request(operator, request, "restricting", {"keys": added})
        return [each for each in read_restricted(operator) if each.request == request]
