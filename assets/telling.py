"""How assets tell people what they did: tables, and checks that name what is wrong."""

from collections.abc import Sequence
from typing import Any

import dagster as dg


def told_table(columns: Sequence[str], rows: Sequence[str], otherwise: str) -> dg.MetadataValue[Any]:
    """A table of rows such as ``| rides | 3 |``, or a sentence where there are none."""
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return dg.MetadataValue.md(head + "\n".join(rows) if rows else otherwise)


def told_check(
    name: str, wrong: Sequence[str], severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    """A check that passes where nothing is wrong, and else says what."""
    return dg.AssetCheckResult(
        passed=not wrong,
        check_name=name,
        severity=severity,
        metadata={"which": dg.MetadataValue.text("; ".join(wrong) or "none")},
    )
