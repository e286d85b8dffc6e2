"""In which order the rows of several tables go: those that reference before those that are referenced.

What does not belong here: what a table's rows reference (``shape``), and deleting any.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

from warehouse.erasure.shape import ForeignKey

#: How an edge gives way in a circle, the readiest first: the server empties it by itself; we can empty it before; it
#: can be looked at when the transaction ends; not at all.
Gives = Literal["by itself", "emptied", "deferred", "never"]
_READINESS: dict[Gives, int] = {"by itself": 0, "emptied": 1, "deferred": 2, "never": 3}


@dataclass(frozen=True)
class Edge:
    """The rows of ``first`` go before those of ``then``."""

    first: str
    then: str
    key: ForeignKey
    gives: Gives


@dataclass(frozen=True)
class Order:
    """Tables, and what had to give way for it.

    Attributes:
        tables: in their order.
        emptied: foreign keys that are emptied before.
        together: tables whose rows go in one transaction.
        stuck: foreign keys of a circle in which none gives way; the order is then of no use.
    """

    tables: tuple[str, ...]
    emptied: tuple[Edge, ...] = ()
    together: tuple[frozenset[str], ...] = ()
    stuck: tuple[Edge, ...] = ()


def children_first(tables: Sequence[str], edges: Sequence[Edge]) -> Order:
    """Sort tables; where the edges go in a circle, the readiest of them gives way."""
    left = [edge for edge in edges if edge.first != edge.then]
    emptied: list[Edge] = []
    deferred: list[Edge] = []
    while True:
        order = _sorted(tables, left)
        if order is not None:
            return Order(order, tuple(emptied), _together(deferred, edges))
        circle = [edge for edge in left if edge.first in _after(edge.then, left)]
        weakest = min(circle, key=lambda edge: _READINESS[edge.gives])
        if weakest.gives == "never":
            return Order((), stuck=tuple(circle))
        if weakest.gives == "emptied":
            emptied.append(weakest)
        if weakest.gives == "deferred":
            deferred.append(weakest)
        left.remove(weakest)


def _sorted(tables: Sequence[str], edges: Sequence[Edge]) -> tuple[str, ...] | None:
    """The tables as they were given, as far as the edges allow; None if they go in a circle."""
    placed: list[str] = []
    waiting = list(tables)
    while waiting:
        held = {edge.then for edge in edges if edge.first in waiting}
        free = [table for table in waiting if table not in held]
        if not free:
            return None
        placed += free
        waiting = [table for table in waiting if table in held]
    return tuple(placed)


def _after(table: str, edges: Sequence[Edge]) -> Set[str]:
    """It, and every table that goes after it."""
    found = {table}
    while more := {edge.then for edge in edges if edge.first in found} - found:
        found |= more
    return found


def _together(deferred: Sequence[Edge], edges: Sequence[Edge]) -> tuple[frozenset[str], ...]:
    """The circles that deferred keys close, joined where they share a table."""
    groups: list[frozenset[str]] = []
    for edge in deferred:
        group = frozenset(t for t in _after(edge.first, edges) if edge.first in _after(t, edges))
        joined = [other for other in groups if other & group]
        groups = [*(other for other in groups if other not in joined), group.union(*joined)]
    return tuple(groups)
