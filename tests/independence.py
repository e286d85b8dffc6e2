"""What computing a mart anew in plain Python stands on: exact means and rounding, and how such a mart is declared.

What does not belong here: any definition of a metric (``independent_marts``, ``independent_shop``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]
#: A mart's rows by the value of its key column, or by the values of its key columns.
Figures = dict[Any, dict[str, Any]]
#: Gives all rows of one operational table.
RowsOf = Callable[[str], Iterable[Row]]


@dataclass(frozen=True)
class IndependentMart:
    """How a mart is computed again.

    Attributes:
        system: whose tables.
        key: the mart's key column, or its columns.
        tables: the operational tables that are read, and which of their columns.
        compute: makes the mart's rows, key columns included, from a way to read a table.
    """

    system: str
    key: str | tuple[str, ...]
    tables: Mapping[str, tuple[str, ...]]
    compute: Callable[[RowsOf], Figures]


def rounded(value: Fraction, decimals: int) -> Decimal:
    """Rounded half away from zero, as PostgreSQL rounds numeric."""
    scaled = abs(value) * 10**decimals
    whole = scaled.numerator // scaled.denominator
    if scaled - whole >= Fraction(1, 2):
        whole += 1
    return Decimal(whole if value >= 0 else -whole).scaleb(-decimals)


def rounded_or_none(value: Fraction | None, decimals: int) -> Decimal | None:
    """The same; None stays None."""
    return None if value is None else rounded(value, decimals)


def mean(values: list[Fraction]) -> Fraction | None:
    """The mean, or None of nothing."""
    return sum(values, Fraction(0)) / len(values) if values else None


def seconds(length: dt.timedelta) -> Fraction:
    """Exact length in seconds."""
    return Fraction(length // dt.timedelta(microseconds=1), 1_000_000)
