"""What the contract found: one difference between a policy and its live table, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        system: of the catalog.
        table: as the catalog names it; ``schema.table`` of the database where the catalog does not; empty for the
            whole system.
        field: the policy's field or the column, e.g. ``columns.email`` or ``partition.modulus``; empty for the table.
        severity: an ``error`` means that a verb would do something wrong, or nothing where something is due.
        kind: a short name of this sort of finding, e.g. ``missing-column``.
        message: what differs.
        hint: what to do.
    """

    system: str
    table: str
    field: str
    severity: Severity
    kind: str
    message: str
    hint: str

    def __str__(self) -> str:
        where = ".".join(part for part in (self.system, self.table, self.field) if part)
        return f"{self.severity}: {where}: {self.message}. {self.hint}"


class Findings:
    """Collects the findings of one system.

    Attributes:
        found: in the order in which they were made.
    """

    def __init__(self, system: str) -> None:
        self.system = system
        self.found: list[Finding] = []

    def error(self, kind: str, table: str, field: str, message: str, hint: str) -> None:
        """Add an error."""
        self.found.append(Finding(self.system, table, field, "error", kind, message, hint))

    def warning(self, kind: str, table: str, field: str, message: str, hint: str) -> None:
        """Add a warning."""
        self.found.append(Finding(self.system, table, field, "warning", kind, message, hint))
