"""Names of partitions from the pattern that a policy declares, e.g. ``{table}_y{year}m{month}``."""

from __future__ import annotations

import datetime as dt


def month_name(pattern: str, table: str, month: dt.date) -> str:
    """Name of a table's partition for a month: ``rides_y2024m01``."""
    return pattern.format(
        table=table, year=f"{month.year:04d}", month=f"{month.month:02d}", day=f"{month.day:02d}",
        quarter=(month.month + 2) // 3, week=f"{month.isocalendar().week:02d}",
    )  # fmt: skip
