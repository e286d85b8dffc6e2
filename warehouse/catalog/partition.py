"""How the operational database partitions a table, as the policy declares it.

What does not belong here: reading bounds, creating or detaching partitions.
"""

from __future__ import annotations

import datetime as dt
import string
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Discriminator, Field, Tag

from warehouse.catalog.base import ColumnName, Policy
from warehouse.catalog.naming import period_name
from warehouse.catalog.periods import Period

#: Sets of placeholders that tell the partitions of one table apart; one set of a period's must be in the pattern.
_TELLING: dict[Period, tuple[frozenset[str], ...]] = {
    "day": (frozenset({"year", "month", "day"}),),
    "week": (frozenset({"year", "week"}), frozenset({"year", "month", "day"})),
    "month": (frozenset({"year", "month"}),),
    "quarter": (frozenset({"year", "quarter"}), frozenset({"year", "month"})),
    "year": (frozenset({"year"}),),
}
_DATED = frozenset({"table", "year", "quarter", "month", "week", "day"})
_NUMBERED = frozenset({"table", "remainder", "modulus"})


def _placeholders(pattern: str, known: Collection[str]) -> frozenset[str]:
    try:
        used = [field for _, field, _, _ in string.Formatter().parse(pattern) if field is not None]
    except ValueError as error:
        raise ValueError(f"{pattern!r} is no name pattern: {error}") from None
    for field in used:
        if field not in known:
            raise ValueError(f"{pattern!r}: unknown placeholder {{{field}}}; known are {', '.join(sorted(known))}")
    return frozenset(used)


def _dated(pattern: str) -> str:
    _placeholders(pattern, _DATED)
    return _tried(pattern, lambda: period_name(pattern, "t", dt.date(2024, 1, 1)))


def _numbered(pattern: str) -> str:
    if "remainder" not in _placeholders(pattern, _NUMBERED):
        raise ValueError(f"{pattern!r} gives every partition the same name; add {{remainder}}")
    return _tried(pattern, lambda: pattern.format(table="t", remainder=1, modulus=2))


def _tried(pattern: str, use: Callable[[], str]) -> str:
    """Refuse what only shows when the pattern is used: a format that does not suit its placeholder."""
    try:
        use()
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"{pattern!r} is no name pattern: {error}") from None
    return pattern


Drift = Annotated[
    Literal["report", "mend"],
    Field(
        description="What to do about a partition that is not what its parent is (owner, grants, row-level security, "
        "replica identity, publications, indexes ...): say it, or mend it."
    ),
]


class RangePartition(Policy):
    """Range partitioning by time in the operational database. Bounds are in UTC."""

    range: ColumnName
    every: Period = "month"
    name: Annotated[str, AfterValidator(_dated)] = Field(
        description="Name pattern of a partition: {table}, {year}, {quarter}, {month}, {week}, {day}."
    )
    premake: int = Field(default=3, ge=1, le=60, description="Partitions kept ready ahead of the current one.")
    drift: Drift = "mend"

    def contradiction(self) -> str | None:
        """What is wrong with the name pattern for this period, or None."""
        used = _placeholders(self.name, _DATED)
        if any(needed <= used for needed in _TELLING[self.every]):
            return None
        needed = " or ".join("".join(f"{{{field}}}" for field in sorted(s, reverse=True)) for s in _TELLING[self.every])
        return f"{self.name!r} gives two partitions the same name; one per {self.every} needs {needed}"


class HashPartition(Policy):
    """Hash partitioning in the operational database."""

    hash: ColumnName
    modulus: int = Field(ge=2)
    name: Annotated[str, AfterValidator(_numbered)] = Field(
        description="Name pattern of a partition: {table}, {remainder}, {modulus}."
    )
    grow_to: int | None = Field(default=None, description="Largest modulus this table is expected to grow to.")
    drift: Drift = "mend"

    def partition_name(self, table: str, remainder: int) -> str:
        """Name of one partition, e.g. ``wallet_ledger_p3``."""
        return self.name.format(table=table, remainder=remainder, modulus=self.modulus)


class ListPartition(Policy):
    """List partitioning in the operational database; its partitions are kept like it, and made by others."""

    list: ColumnName
    drift: Drift = "mend"


_STRATEGIES = ("range", "hash", "list")


def _strategy(value: Any) -> str | None:
    """Which of the three a mapping is meant to be: by the key that names its column."""
    if isinstance(value, RangePartition | HashPartition | ListPartition):
        return f"[{type(value).__name__.removesuffix('Partition').lower()}]"
    if not isinstance(value, dict):
        return None
    named = [strategy for strategy in _STRATEGIES if strategy in cast("dict[Any, Any]", value)]
    return f"[{named[0]}]" if len(named) == 1 else None


#: Decided by its key before it is judged, so that an error is about the partitioning meant. Tags in brackets are
#: no field of the file.
Partition = Annotated[
    Annotated[RangePartition, Tag("[range]")]
    | Annotated[HashPartition, Tag("[hash]")]
    | Annotated[ListPartition, Tag("[list]")],
    Discriminator(
        _strategy,
        custom_error_type="partition",
        custom_error_message="a partitioning is a mapping with exactly one of range, hash or list, and its column",
    ),
]
