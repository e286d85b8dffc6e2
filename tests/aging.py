"""What tests of retention share: a table whose rows live for a year, and what of it is young enough.

What does not belong here: what only one module needs.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

from ingesting import Bench

#: All months of ``facts`` are in the lake by then, and none has expired at an age of a year.
LATER = dt.datetime(2024, 9, 20, tzinfo=dt.UTC)
#: January has expired, and February to the 9th.
AT = dt.datetime(2025, 2, 10, 12, 30, tzinfo=dt.UTC)
CUT = "2024-02-10 00:00:00"


def declare(bench: Bench, tiers: dict[str, Any] | None, **further: Any) -> None:
    """``facts`` with a retention of a year, about the person ``who``."""
    policy = {"partition": {"range": "at", "name": "{table}_y{year}m{month}"}, "retention": "1 year", **further}
    bench.monthly("facts", **policy, **({"tiers": tiers} if tiers else {}))


def young(rows: Counter[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    return Counter({row: count for row, count in rows.items() if row[1] >= CUT})
