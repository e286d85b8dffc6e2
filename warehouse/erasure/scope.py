"""Whose rows: from a person's key to the values by which rows of each table are about that person.

A row leads to its person by a subject column: directly, or over other tables, as many hops as it takes. The values of
those columns are collected once, from every store that still has a row on the way, and are all that the verbs need: a
row is about the person if one of its subject columns has one of them. They are kept (encrypted) until the person is
erased everywhere, for the rows on the way go first.

What does not belong here: finding a person by mail or telephone, and reading any store: that is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from warehouse.catalog.model import System


class Reader(Protocol):
    """One store of a system, as far as the way to a person leads through it."""

    def values(self, table: str, column: str, about: Mapping[str, Set[str]]) -> Set[str]:
        """What a column has, as text, in rows in which one of the columns ``about`` has one of those values."""
        ...


@dataclass(frozen=True)
class Scope:
    """Which rows of a system are about a person.

    Attributes:
        system: its name.
        persons: their keys, as text.
        values: by table, and subject column of it: the values that lead to them, as text; without empty ones.
    """

    system: str
    persons: frozenset[str] = field(repr=False)
    values: Mapping[str, Mapping[str, frozenset[str]]] = field(repr=False)

    def about(self, table: str) -> Mapping[str, frozenset[str]]:
        """By subject column, of one table; empty if no row of it can be about them."""
        return self.values.get(table, {})


def find_scope(system: System, persons: Set[str], readers: Sequence[Reader]) -> Scope:
    """Follow every way from a person to rows.

    Args:
        system: whose catalog says the ways.
        persons: keys in ``person.table``, as the server prints them.
        readers: every store that may have a row on the way: what one has lost another may have still.
    """
    assert system.person is not None
    found: dict[tuple[str, str], frozenset[str]] = {(system.person.table, system.person.key): frozenset(persons)}
    wanted = {system.target_of(subject) for table in system.tables.values() for subject in table.subjects}
    grown = True
    while grown:  # as a way may lead through its own table, until nothing is added
        grown = False
        for table, column in sorted(wanted):
            about = _about(system, table, found)
            if not about:
                continue
            known = found.get((table, column), frozenset())
            more = known.union(*(reader.values(table, column, about) for reader in readers))
            grown = grown or more != known
            found[table, column] = more
    values = {name: _about(system, name, found) for name in system.tables}
    return Scope(system.system, frozenset(persons), {name: about for name, about in values.items() if about})


def keys_of(system: System, scope: Scope) -> dict[tuple[str, str], set[str]]:
    """Keys of the persons, and of rows on the way to rows of theirs: by table, and column that they are the key of."""
    keys: dict[tuple[str, str], set[str]] = {}
    for table, about in scope.values.items():
        for subject in system.tables[table].subjects:
            if subject.column in about:
                keys.setdefault(system.target_of(subject), set()).update(about[subject.column])
    return keys


def _about(system: System, table: str, found: Mapping[tuple[str, str], frozenset[str]]) -> dict[str, frozenset[str]]:
    about: dict[str, frozenset[str]] = {}
    for subject in system.tables[table].subjects:
        if values := found.get(system.target_of(subject)):
            about[subject.column] = about.get(subject.column, frozenset()) | values
    return about
