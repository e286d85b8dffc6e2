"""What a table's policy expects of its rows, as a plan: pure data, made from the catalog's ``quality``.

Two kinds of rules. Those about a row by itself (between, among, not_null, matches, not_before, within) are held of the
rows that a run may have loaded. Those across rows (unique, references) are only held of a whole table: a refresh of the
current months does not read all history for them, the daily one does.

What does not belong here: asking a database (``suites``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from warehouse.catalog.model import ColumnRule, System, Table
from warehouse.catalog.types import normalise_type

Severity = Literal["warn", "error"]
Kind = Literal["between", "among", "not_null", "unique", "matches", "not_before", "within", "references"]

#: Rules that a part of a table can neither hold nor break.
ACROSS_ROWS: frozenset[Kind] = frozenset({"unique", "references"})
#: Types of columns that a window of time can be cut by.
_MOMENTS = {normalise_type(name) for name in ("timestamptz", "timestamp", "date")}


@dataclass(frozen=True)
class Window:
    """Rows of a table since a moment, by one of its columns; the whole table without a column."""

    column: str | None = None
    since: dt.date | None = None

    def __str__(self) -> str:
        return f"rows with {self.column} since {self.since}" if self.column else "the whole table"


WHOLE = Window()


@dataclass(frozen=True)
class Expectation:
    """One rule of one column.

    Attributes:
        column: what it is about.
        kind: which rule.
        value: what the policy says of it: bounds, values, a pattern, another column.
        severity: whether a failure stops the models that stand on the table.
        most: the largest distance, of ``within``.
    """

    column: str
    kind: Kind
    value: Any
    severity: Severity
    most: str | None = None

    @property
    def rule(self) -> str:
        """As a person says it."""
        match self.kind:
            case "between":
                return f"{self.column} is between {self.value[0]:.12g} and {self.value[1]:.12g}"
            case "among":
                return f"{self.column} is one of {', '.join(self.value)}"
            case "not_null":
                return f"{self.column} is given"
            case "unique":
                return f"{self.column} is unique"
            case "matches":
                return f"{self.column} matches {self.value}"
            case "not_before":
                return f"{self.column} is not before {self.value}"
            case "within":
                return f"{self.column} is within {self.most} of {self.value}"
            case "references":
                return f"{self.column} is in {self.value}"

    @property
    def name(self) -> str:
        """Unique within a table."""
        return f"{self.column}.{self.kind}"


@dataclass(frozen=True)
class Suite:
    """All that is expected of one table, and of which of its rows.

    Attributes:
        shown: key columns by which a row that fails is shown; none that is personal, a person's id included.
        casts: columns that are compared as text, because their type is an enum of the source.
    """

    system: str
    table: str
    schema: str
    window: Window
    shown: tuple[str, ...]
    expectations: tuple[Expectation, ...]
    casts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How people name the table."""
        return f"{self.system}.{self.table}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is looked at."""
        spoken = [*self.shown]
        for expectation in self.expectations:
            spoken.append(expectation.column)
            if expectation.kind in ("not_before", "within"):
                spoken.append(expectation.value)
        return tuple(dict.fromkeys(spoken))


def suite(system: System, name: str, window: Window = WHOLE) -> Suite:
    """The plan for one table.

    Args:
        system, name: whose table.
        window: which rows; rules across rows are left to the whole table.
    """
    table = system.tables[name]
    planned = tuple(
        expectation
        for column, rule in table.quality.items()
        for expectation in _of_column(column, rule)
        if window == WHOLE or expectation.kind not in ACROSS_ROWS
    )
    shown = tuple(column for column in table.key if table.columns[column].personal is None)
    casts = tuple(e.column for e in planned if e.kind in ("among", "matches"))
    return Suite(system.system, name, system.raw_schema, window, shown, planned, casts)


def window_of(table: Table, first: dt.date | None, history_starts: dt.date) -> Window:
    """Which rows of a table a run may have loaded.

    Args:
        table: its policy.
        first: first month that the run covers; None: all.
        history_starts: a run that covers everything from there on is held of whole tables.
    """
    if first is None or first <= history_starts:
        return WHOLE
    column = table.time if table.ingest.mode == "partition" else table.ingest.cursor
    # A table that is loaded whole has no cursor, and is small; an integer cursor says nothing of time.
    if column is None or table.columns[column].type not in _MOMENTS:
        return WHOLE
    return Window(column, first)


def _of_column(column: str, rule: ColumnRule) -> Iterator[Expectation]:
    kinds: tuple[Kind, ...] = (
        "not_null", "unique", "between", "among", "matches", "not_before", "within", "references",
    )  # fmt: skip
    for kind in kinds:
        value = getattr(rule, kind)
        if value is None or value is False:
            continue
        if kind == "within":
            yield Expectation(column, kind, rule.of, rule.severity, str(rule.within))
        else:
            yield Expectation(column, kind, value, rule.severity)
