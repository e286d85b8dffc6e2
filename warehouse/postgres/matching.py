"""What is the same, declared and live: two types, and a table's key.

What does not belong here: how a type travels (``carriage``).
"""

from __future__ import annotations

import re
from dataclasses import replace

from warehouse.catalog.model import Table
from warehouse.catalog.types import normalise_type, unqualified
from warehouse.postgres.introspection import LiveColumn, LiveTable, LiveType

#: Types whose values compare with one another without a cast.
_ALIKE = (
    {"smallint", "integer", "bigint", "numeric", "oid"},
    {"text", "character varying", "character", "bpchar", "citext", "name"},
    {"date", "timestamp without time zone", "timestamp with time zone"},
)
#: What a column is that is cast.
TEXT = LiveType("text", "text", "text", "base", builtin=True, array=False, through_domain=False, type_name="text")
_ARGUMENTS = re.compile(r"\(.*?\)")


def same_type(declared: str, column: LiveColumn) -> bool:
    """Whether a declared type is the column's: its own or, of a domain, the type that it rests on.

    A schema counts only where both sides name one, because the database leaves it out as its search_path allows.
    """
    for spelling in (column.type.name, column.type.carrier):
        actual = normalise_type(spelling)
        bare = unqualified(actual)
        if declared in (actual, bare) or (bare == actual and unqualified(declared) == bare):
            return True
    return False


def as_declared(live: LiveTable, policy: Table) -> LiveTable:
    """The table as ingestion reads it: columns that the policy casts are text."""
    cast = cast_columns(policy)
    return replace(live, columns=tuple(replace(c, type=TEXT) if c.name in cast else c for c in live.columns))


def cast_columns(policy: Table) -> set[str]:
    """Columns that are read as what they print as."""
    return {name for name, column in policy.columns.items() if column.cast}


def alike(one: LiveColumn, other: LiveColumn) -> bool:
    """Whether two columns can reference one another: the same type, or types that compare without a cast."""
    if one.type.carrier == other.type.carrier:
        return True
    first, second = (_ARGUMENTS.sub("", column.type.carrier) for column in (one, other))
    citext = [column.type.type_name == "citext" and not column.type.array for column in (one, other)]
    first, second = ("citext" if citext[0] else first), ("citext" if citext[1] else second)
    return first == second or any(first in family and second in family for family in _ALIKE)


def is_key(policy: Table, table: LiveTable) -> bool:
    """Whether the declared key tells the live rows apart.

    It is a primary or unique key; or, of a plain table that is declared to be partitioned, one with the partition
    column added: the key that it will have. A policy may so be written before the conversion, and holds all along.
    """
    declared = set(policy.key)
    keys = [set(key) for key in (table.primary_key, *table.unique_keys) if key]
    if declared in keys:
        return True
    column = table.column(policy.partition_column or "")
    if table.strategy or column is None or not column.not_null or column.name not in declared:
        return False
    return declared - {column.name} in keys
