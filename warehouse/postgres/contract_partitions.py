"""Part of the contract: how a table is partitioned, as declared and as it is."""

from __future__ import annotations

from warehouse.catalog.model import Table
from warehouse.catalog.naming import period_name
from warehouse.catalog.partition import HashPartition, RangePartition
from warehouse.postgres.bounds import (
    direct,
    hash_slot,
    is_default,
    is_open,
    modulus_of,
    newest,
    period_of,
    spans_of,
)
from warehouse.postgres.finding import Findings
from warehouse.postgres.introspection import LiveTable

_SHOWN = 3


def check_partitions(findings: Findings, name: str, policy: Table, table: LiveTable) -> None:
    """Add what differs between the declared partitioning and the live one."""
    declared = _declared_strategy(policy)
    if not table.strategy:
        if declared:
            findings.error(
                "not-partitioned",
                name,
                "partition",
                f"declared as partitioned by {declared}, and the table is not partitioned",
                "Remove partition:, or partition the table at the source."
                if declared == "list"
                else f"Partition it while it is written to: `drivetrain partitions convert {findings.system}.{name}`; "
                "or remove partition:.",
            )
        return
    columns = ", ".join(column or "(an expression)" for column in table.partition_columns)
    live = f"{table.strategy} ({columns})"
    if policy.partition is None:
        _undeclared(findings, name, policy, table, live)
        return
    if declared != table.strategy or (policy.partition_column,) != table.partition_columns:
        findings.error(
            "other-partitioning",
            name,
            "partition",
            f"declared {declared} ({policy.partition_column}), the table is partitioned by {live}",
            _how_to_declare(table) or "Remove partition: the maintenance knows one column of time, hash or list.",
        )
        return
    _check_leftovers(findings, name, table)
    if isinstance(policy.partition, RangePartition):
        _check_range(findings, name, policy.partition, table)
    if isinstance(policy.partition, HashPartition):
        _check_hash(findings, name, policy.partition, table)


def is_sayable(table: LiveTable) -> bool:
    """Whether a policy can say how the table is partitioned."""
    match table.strategy:
        case "range":
            return period_of(table) is not None
        case "hash":
            return modulus_of(table) is not None
        case "list":
            return len(table.partition_columns) == 1 and bool(table.partition_columns[0])
        case "":
            return False


def _declared_strategy(policy: Table) -> str:
    match policy.partition:
        case RangePartition():
            return "range"
        case HashPartition():
            return "hash"
        case None:
            return ""
        case _:
            return "list"


def _undeclared(findings: Findings, name: str, policy: Table, table: LiveTable, live: str) -> None:
    if is_sayable(table) and table.partition_columns[0] in policy.columns:
        findings.error(
            "partitioning-not-declared",
            name,
            "partition",
            f"the table is partitioned by {live} and the policy does not say so",
            _how_to_declare(table),
        )
    else:
        findings.warning(
            "partitioning-not-sayable",
            name,
            "partition",
            f"the table is partitioned by {live} in a way that a policy cannot say, so nobody here maintains it",
            "Keep its partitions ahead by other means.",
        )


def _how_to_declare(table: LiveTable) -> str:
    if not is_sayable(table):
        return ""
    column = table.partition_columns[0]
    match table.strategy:
        case "range":
            return f"Write partition: {{range: {column}, every: {period_of(table)}, name: ...}}."
        case "hash":
            return f"Write partition: {{hash: {column}, modulus: {modulus_of(table)}, name: ...}}."
        case _:
            return f"Write partition: {{list: {column}}}."


def _check_leftovers(findings: Findings, name: str, table: LiveTable) -> None:
    for partition in direct(table):
        if is_default(partition):
            findings.warning(
                "default-partition",
                name,
                "partition",
                f"{partition.name} is a default partition: rows in it hold up new partitions and are never tiered",
                "Move its rows to partitions of their own, then drop it.",
            )
        elif is_open(partition):
            findings.warning(
                "open-partition",
                name,
                "partition",
                f"{partition.name} has no end ({partition.bound.removeprefix('FOR VALUES ')})",
                "Split it at a calendar bound: as it is, no partition can be made beside it or leave on its own.",
            )


def _check_range(findings: Findings, name: str, declared: RangePartition, table: LiveTable) -> None:
    spans = spans_of(table)
    last = newest(spans.values())
    others = sorted(partition for partition, span in spans.items() if span.period != declared.every)
    if last is not None and last.period != declared.every:
        actual = last.period
        findings.error(
            "other-period",
            name,
            "partition.every",
            f"declared a partition per {declared.every}; the newest one spans {last.start:%Y-%m-%d %H:%M} to"
            f" {last.end:%Y-%m-%d %H:%M} UTC",
            f"Write every: {actual}."
            if actual
            else "Its bounds are no calendar period in UTC: make new ones so, or remove partition:.",
        )
    elif others:
        findings.warning(
            "other-period",
            name,
            "partition.every",
            f"{len(others)} partition(s) do not span one {declared.every} in UTC: {_some(others)}",
            "They work, and tiering moves each as a whole; split or merge them if that matters.",
        )
    strange = {
        partition: period_name(declared.name, table.name, span.start.date())
        for partition, span in spans.items()
        if span.period == declared.every
    }
    _check_names(findings, name, strange)


def _check_hash(findings: Findings, name: str, declared: HashPartition, table: LiveTable) -> None:
    slots = {p.name: slot for p in direct(table) if (slot := hash_slot(p)) is not None}
    moduli = {modulus for modulus, _ in slots.values()}
    if moduli != {declared.modulus} or len(slots) != declared.modulus:
        actual = modulus_of(table)
        findings.error(
            "other-modulus",
            name,
            "partition.modulus",
            f"declared {declared.modulus} parts; the table has {len(slots)} of modulus"
            f" {', '.join(map(str, sorted(moduli))) or 'none'}",
            f"Write modulus: {actual}." if actual else "Finish its growth or add the missing parts, then declare it.",
        )
        return
    _check_names(findings, name, {p: declared.partition_name(table.name, r) for p, (_, r) in slots.items()})


def _check_names(findings: Findings, name: str, expected: dict[str, str]) -> None:
    """PostgreSQL cuts a name that is too long, at 63 bytes."""
    strange = [f"{is_} (not {due})" for is_, due in sorted(expected.items()) if is_.encode() != due.encode()[:63]]
    if strange:
        findings.warning(
            "partition-names",
            name,
            "partition.name",
            f"{len(strange)} of {len(expected)} partition name(s) do not follow the pattern: {_some(strange)}",
            "Correct the pattern, or rename the partitions.",
        )


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
