"""The catalog as a register of personal data: one entry per table, for people and for scripts.

What belongs here: saying in plain words what a policy says, and choosing entries. What does not: printing them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from warehouse.catalog.model import Catalog, Erasure, PersonalKind, Retention, Subject, System
from warehouse.errors import ConfigurationError, listed

KINDS: tuple[str, ...] = get_args(PersonalKind)
ACTIONS: tuple[str, ...] = get_args(Erasure.model_fields["action"].annotation)


@dataclass(frozen=True)
class ColumnEntry:
    """One column: its name, PostgreSQL type, kind of personal data (None if it is not personal), and meaning."""

    column: str
    type: str
    personal: str | None
    description: str


@dataclass(frozen=True)
class Entry:
    """One table of the register.

    Attributes:
        subjects: the ways to the persons that a row is about, as a policy writes them.
        personal: the personal columns by kind.
        retention: an age, ``lifetime``, ``law`` (with an age where it is known) or ``undecided``.
        retention_basis: the law that demands the keeping, if one does.
        erasure: what a person's erasure does to the rows.
        erasure_grounds: the legal basis of keeping them, or the reason of an exemption.
    """

    system: str
    table: str
    description: str
    owner: str
    laws: tuple[str, ...]
    subjects: tuple[str, ...]
    personal: Mapping[str, tuple[str, ...]]
    retention: str
    retention_basis: str | None
    erasure: str
    erasure_grounds: str | None
    reviewed: bool
    columns: tuple[ColumnEntry, ...]


def register(catalog: Catalog, name: str = "", *, kind: str = "", erasure: str = "") -> list[Entry]:
    """The entries of a catalog, in its order.

    Args:
        name: ``system`` or ``system.table``; everything if empty.
        kind: only tables with personal data of this kind, and of their columns only those.
        erasure: only tables whose erasure is this.

    Raises:
        ConfigurationError: the catalog has no such name, or there is no such kind or action.
    """
    if kind and kind not in KINDS:
        raise ConfigurationError(f"{kind!r} is no kind of personal data", hint=f"There are: {', '.join(KINDS)}")
    if erasure and erasure not in ACTIONS:
        raise ConfigurationError(f"{erasure!r} is no action of erasure", hint=f"There are: {listed(ACTIONS, erasure)}")
    named, dot, table = name.partition(".")
    if name and named not in catalog.systems:
        raise ConfigurationError(
            f"no system {named!r} in the catalog", hint=f"There are: {listed(catalog.systems, named)}"
        )
    if dot and table not in catalog.systems[named].tables:
        raise ConfigurationError(
            f"no table {table!r} in {named}", hint=f"There are: {listed(catalog.systems[named].tables, table)}"
        )
    entries = [
        _entry(system, each, kind)
        for system in ([catalog.systems[named]] if name else catalog.systems.values())
        for each in ([table] if dot else system.tables)
    ]
    return [entry for entry in entries if (not kind or entry.columns) and (not erasure or entry.erasure == erasure)]


def retention_text(retention: Retention) -> str:
    """``2 years``, ``lifetime``, ``law, 8 years``, ``law`` or ``undecided``."""
    if retention.until == "age":
        return str(retention.age)
    return retention.until if retention.age is None else f"{retention.until}, {retention.age}"


def subject_text(subject: Subject) -> str:
    """``rider_id``, ``order_id -> orders`` or ``order_key -> orders.key``."""
    if subject.table is None:
        return subject.column
    return f"{subject.column} -> {subject.table}" + (f".{subject.to}" if subject.to else "")


def _entry(system: System, name: str, kind: str) -> Entry:
    table = system.tables[name]
    columns = {n: column for n, column in table.columns.items() if not kind or column.personal == kind}
    personal: dict[str, tuple[str, ...]] = {}
    for column, policy in columns.items():
        if policy.personal is not None:
            personal[policy.personal] = (*personal.get(policy.personal, ()), column)
    return Entry(
        system=system.system,
        table=name,
        description=table.description,
        owner=system.owner,
        laws=system.laws,
        subjects=tuple(map(subject_text, table.subjects)),
        personal=personal,
        retention=retention_text(table.retention),
        retention_basis=table.retention.basis,
        erasure=table.erasure.action,
        erasure_grounds=table.erasure.basis or table.erasure.reason,
        reviewed=table.reviewed,
        columns=tuple(ColumnEntry(n, c.type, c.personal, c.description) for n, c in columns.items()),
    )
