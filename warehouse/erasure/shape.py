"""What a live database says of its tables that matters when rows of them go or change: keys between them, what must
be unique, what is checked, what may be empty. Facts only; what follows from them is decided in ``planning``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from warehouse.erasure import sql as queries
from warehouse.postgres.introspection import LiveTable, read_tables
from warehouse.postgres.sessions import Connection

Name = tuple[str, str]
OnDelete = Literal["a", "r", "c", "n", "d"]


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key as it was declared; of partitions, with their parents' names.

    Attributes:
        name: of the constraint.
        child, columns: whose rows reference.
        parent, referenced: what they reference.
        on_delete: what the server does to them: nothing (``a``, ``r``: it refuses), ``c`` deletes them, ``n`` and ``d``
            empty the columns.
        deferrable: it may be looked at when the transaction ends.
    """

    name: str
    child: Name
    columns: tuple[str, ...]
    parent: Name
    referenced: tuple[str, ...]
    on_delete: OnDelete
    deferrable: bool


@dataclass(frozen=True)
class Unique:
    """A unique index: its plain columns, and whether rows with an empty one are told apart."""

    name: str
    columns: tuple[str, ...]
    nulls_distinct: bool


@dataclass(frozen=True)
class Check:
    """A check constraint: the columns that it looks at, and its expression."""

    name: str
    columns: tuple[str, ...]
    expression: str


@dataclass(frozen=True)
class Shape:
    """Of the tables of some schemas, by schema and name."""

    tables: Mapping[Name, LiveTable]
    keys: tuple[ForeignKey, ...]
    uniques: Mapping[Name, tuple[Unique, ...]]
    checks: Mapping[Name, tuple[Check, ...]]
    fixed: frozenset[tuple[Name, str]]
    filled: frozenset[tuple[Name, str]]
    """Columns that no statement may set (``fixed``), and that no statement may empty (``filled``)."""


def read_shape(connection: Connection, schemas: Sequence[str]) -> Shape:
    """Read it; foreign keys from tables of other schemas too."""
    given = {"schemas": list(schemas)}
    keys = tuple(
        ForeignKey(name, (s, t), tuple(columns), (ps, p), tuple(referenced), on_delete, deferrable)
        for name, s, t, columns, ps, p, referenced, on_delete, deferrable in connection.execute(
            queries.FOREIGN_KEYS, given
        )
    )
    uniques: dict[Name, list[Unique]] = {}
    for schema, table, name, columns, distinct in connection.execute(queries.UNIQUES, given):
        uniques.setdefault((schema, table), []).append(Unique(name, tuple(columns), distinct))
    checks: dict[Name, list[Check]] = {}
    for schema, table, name, columns, expression in connection.execute(queries.CHECKS, given):
        checks.setdefault((schema, table), []).append(Check(name, tuple(columns), expression))
    fixed: set[tuple[Name, str]] = set()
    filled: set[tuple[Name, str]] = set()
    for schema, table, column, is_fixed, is_filled in connection.execute(queries.COLUMNS, given):
        if is_fixed:
            fixed.add(((schema, table), column))
        if is_filled:
            filled.add(((schema, table), column))
    return Shape(
        read_tables(connection, schemas), keys, {name: tuple(found) for name, found in uniques.items()},
        {name: tuple(found) for name, found in checks.items()}, frozenset(fixed), frozenset(filled),
    )  # fmt: skip
