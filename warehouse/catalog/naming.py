"""Names of partitions from the pattern that a policy declares, e.g. ``{table}_y{year}m{month}``; and of what lies
beside one while it is split, or is left of one that moved.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re

#: Regular expression for the table that says how far a split has come.
SPLIT_STATE = "drivetrain_[0-9a-f]{12}_state"
_LEFT = re.compile(r"drivetrain_left_\d+")
_SPLIT = re.compile(r"drivetrain_[0-9a-f]{12}_(\d+|state|old|rest)")


def period_name(pattern: str, table: str, start: dt.date) -> str:
    """Name of a table's partition for the period that begins on a day: ``rides_y2024m01``.

    Weeks are those of ISO 8601: where the pattern names one, its year is the week's, not the day's.
    """
    iso = start.isocalendar()
    year = iso.year if "{week" in pattern else start.year
    return pattern.format(
        table=table, year=f"{year:04d}", month=f"{start.month:02d}", day=f"{start.day:02d}",
        quarter=(start.month + 2) // 3, week=f"{iso.week:02d}",
    )  # fmt: skip


def split_mark(schema: str, table: str, partition: str) -> str:
    """Prefix of what the split of a partition needs, the same after a restore: ``drivetrain_1f2e3d4c5b6a``."""
    digest = hashlib.sha256(f"{schema}.{table}.{partition}".encode()).hexdigest()
    return f"drivetrain_{digest[:12]}"


def left_name(move: int) -> str:
    """Name of a partition that left its table for the warehouse, until it is dropped: ``drivetrain_left_12``."""
    return f"drivetrain_left_{move}"


def moved_name(move: int) -> str:
    """Name of a month of the warehouse that went into the lake, until it is dropped: ``moved_12``."""
    return f"moved_{move}"


def has_left(table: str) -> bool:
    """Whether a table is a partition that left for the warehouse, and is kept for a while."""
    return _LEFT.fullmatch(table) is not None


def is_of_split(table: str) -> bool:
    """Whether a table lies beside a partition that is being split."""
    return _SPLIT.fullmatch(table) is not None
