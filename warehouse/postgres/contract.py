"""Hold a system's policy against its live database: what differs, what was forgotten, what to do about it.

What belongs here: tables, columns, types and keys, and the order of all checks. Partitions are checked in
``contract_partitions``, the ways to persons in ``contract_persons``. What does not: contradictions within the policy
itself (``warehouse.catalog.contradictions``), and changing anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.catalog.base import is_column_name, join_name
from warehouse.catalog.model import System, Table
from warehouse.catalog.naming import has_left, is_of_split, split_mark
from warehouse.postgres.carriage import refusal
from warehouse.postgres.contract_partitions import check_partitions
from warehouse.postgres.contract_persons import check_persons
from warehouse.postgres.finding import Finding, Findings
from warehouse.postgres.introspection import LiveTable, read_tables
from warehouse.postgres.matching import as_declared, is_key, same_type
from warehouse.postgres.sessions import Connection
from warehouse.postgres.surroundings import Name, Surroundings, read_surroundings

__all__ = ["Finding", "check_system", "declarable", "usable_keys"]

_RELOAD = "Then run `drivetrain catalog check` again."


def check_system(connection: Connection, system: System) -> list[Finding]:
    """Compare a system's policy with its database, reading only the database's own catalog.

    Args:
        connection: a canonical session (``sessions.connect``) of the role that ingestion reads with, so that what is
            hidden from that role is found.
        system: the policy.

    Returns:
        Every finding, errors first; empty where policy and database agree.
    """
    around = read_surroundings(connection)
    # Tables of every schema, because a foreign key may lead to a person from where nobody looks.
    live = read_tables(connection, sorted({schema for schema, _ in around.tables}))
    declared = {system.source_of(name) for name in system.tables}
    live = {name: table for name, table in live.items() if name in declared or name not in around.of_extensions}
    findings = Findings(system.system)
    _check_undeclared(findings, system, live)
    for name, policy in system.tables.items():
        source = system.source_of(name)
        table = live.get(source)
        if table is None:
            findings.error(
                "missing-table",
                name,
                "",
                f"the database has no table {join_name(*source)}",
                "Correct source: (or schema:), or remove the table from the policy.",
            )
            continue
        _check_review(findings, name, policy)
        _check_access(findings, name, table, around)
        _check_columns(findings, name, policy, as_declared(table, policy))
        _check_key(findings, name, policy, table)
        _check_times(findings, name, policy, table)
        check_partitions(findings, name, policy, table)
    check_persons(findings, system, live)
    return sorted(findings.found, key=lambda each: each.severity)


def declarable(table: LiveTable) -> dict[str, str | None]:
    """The table's columns, each with the reason why a policy cannot declare it, or None if it can."""
    found: dict[str, str | None] = {}
    folded: set[str] = set()
    for column in table.columns:
        if not is_column_name(column.name):
            found[column.name] = "its name has other characters than letters, digits and underscores"
        elif column.name.casefold() in folded:
            found[column.name] = "its name differs from another column's in case only"
        else:
            found[column.name] = refusal(column)
            folded.add(column.name.casefold())
    return found


def _split_by(name: str, system: System, live: Mapping[Name, LiveTable]) -> str:
    """The declared table to whose split a relation belongs."""
    for table in system.tables:
        schema, source = system.source_of(table)
        there = live.get((schema, source))
        for partition in (source, *(each.name for each in (there.partitions if there else ()))):
            if name.startswith(split_mark(schema, source, partition)):
                return table
    return "TABLE"


def _check_undeclared(findings: Findings, system: System, live: Mapping[Name, LiveTable]) -> None:
    declared = {system.source_of(name) for name in system.tables}
    schemas = {schema for schema, _ in declared} | {system.schema_}
    elsewhere: dict[str, int] = {}
    for (schema, name), table in live.items():
        if (schema, name) in declared or has_left(name):
            continue
        if is_of_split(name):
            findings.warning(
                "split-under-way",
                join_name(schema, name),
                "",
                "a partition is being split, or its split was interrupted: rows lie there twice until it ends",
                f"Go on with `drivetrain partitions rehash|convert {findings.system}.{_split_by(name, system, live)}`, "
                "or undo it by --abandon: docs/runbooks/partitions.md.",
            )
        elif schema not in schemas:
            elsewhere[schema] = elsewhere.get(schema, 0) + 1
        elif any(reason is None for reason in declarable(table).values()):
            findings.error(
                "undeclared-table",
                join_name(schema, name),
                "",
                "the database has this table and the policy does not",
                "Declare it under tables: (`drivetrain catalog draft` writes a first version).",
            )
        else:
            findings.warning(
                "undeclarable-table",
                join_name(schema, name),
                "",
                "no column of this table can be declared, so neither ingestion nor erasure sees it",
                "Rename its columns or give them plain types at the source.",
            )
    for schema, count in sorted(elsewhere.items()):
        findings.warning(
            "undeclared-schema",
            "",
            "",
            f"schema {schema!r} holds {count} table(s), and the policy names none of them",
            f"Declare them with source: {schema}.<table>, or move them to a database of their own.",
        )


def _check_review(findings: Findings, name: str, policy: Table) -> None:
    open_ = [
        *(["erasure"] if policy.erasure.action == "undecided" else []),
        *(["retention"] if policy.retention.until == "undecided" else []),
        *(f"columns.{column}.personal" for column, kind in policy.personal.items() if kind == "unreviewed"),
    ]
    if open_ or not policy.reviewed:
        findings.warning(
            "not-reviewed",
            name,
            "reviewed",
            f"a draft: {', '.join(open_)} not decided" if open_ else "a draft that nobody has reviewed",
            "Erasure, tiering and retention refuse the table until it is decided and `reviewed: false` is removed.",
        )


def _check_access(findings: Findings, name: str, table: LiveTable, around: Surroundings) -> None:
    key = (table.schema, table.name)
    grant = f"GRANT SELECT ON {join_name(*key)} TO {around.role}"
    if key in around.unreadable:
        findings.error(
            "unreadable",
            name,
            "",
            f"role {around.role} may not read it",
            f"{grant} (and USAGE on its schema).",
        )
    if key in around.hidden:
        findings.error(
            "hidden-rows",
            name,
            "",
            f"row-level security hides rows from role {around.role}, which would look like deleted rows",
            f"ALTER ROLE {around.role} BYPASSRLS, or read with a role that has it.",
        )
    if table.unlogged and not around.standby:
        findings.warning(
            "unlogged",
            name,
            "",
            "an unlogged table: a crash empties it, and no replica has its rows",
            "ALTER TABLE ... SET LOGGED if the rows matter.",
        )
    if key in around.inheriting:
        findings.warning(
            "inheritance",
            name,
            "",
            "it inherits from another table, which shows (and would ingest) its rows a second time",
            "Make the parent a partitioned table, or leave one of the two out.",
        )


def _check_columns(findings: Findings, name: str, policy: Table, table: LiveTable) -> None:
    reasons = declarable(table)
    for column in table.columns:
        if column.name in policy.columns:
            continue
        if (reason := reasons[column.name]) is None:
            findings.error(
                "undeclared-column",
                name,
                f"columns.{column.name}",
                "the database has this column and the policy does not",
                f'Add `{column.name}: {{type: "{column.type.name}", description: ...}}`, with personal: if it tells of'
                " a person.",
            )
        else:
            spared = policy.erasure.action in ("redact", "pseudonymise")
            findings.warning(
                "undeclarable-column",
                name,
                f"columns.{column.name}",
                f"it is not ingested: {reason}" + (f"; erasure {policy.erasure.action!r} spares it" if spared else ""),
                ("Declare it as `{type: text, cast: text}`" if refusal(column) else "Rename it at the source")
                + (", or delete the rows: what it tells of a person stays there." if spared else " if it is needed."),
            )
    for column_name, declared in policy.columns.items():
        field = f"columns.{column_name}"
        column = table.column(column_name)
        if column is None:
            findings.error(
                "missing-column",
                name,
                field,
                f"{join_name(table.schema, table.name)} has no such column",
                "Correct its name, or remove it from the policy.",
            )
        elif (refused := refusal(column)) is not None:
            findings.error(
                "not-carried",
                name,
                field,
                f"it cannot be carried exactly: {refused}",
                "Declare it as `{type: text, cast: text}`, remove it, or give it a plain type at the source.",
            )
        elif not same_type(declared.type, column):
            findings.error(
                "other-type",
                name,
                f"{field}.type",
                f"declared {declared.type}, the database has {column.type.name}",
                f'Write type: "{column.type.name}". {_RELOAD}',
            )


def _check_key(findings: Findings, name: str, policy: Table, table: LiveTable) -> None:
    usable = [key for key in usable_keys(table) if set(key) <= set(policy.columns)]
    shown = f"[{', '.join(usable[0])}]" if usable else ""
    if not policy.key:
        if usable:
            findings.error(
                "key-not-declared",
                name,
                "key",
                f"the database has a key {shown} and the policy declares none",
                f"Write key: {shown}.",
            )
        return
    missing = [column for column in policy.key if table.column(column) is None]
    if missing:
        return  # said as missing-column
    if not is_key(policy, table):
        findings.error(
            "no-such-key",
            name,
            "key",
            f"[{', '.join(policy.key)}] is no primary or unique key of the table, so two rows may share it",
            f"Write key: {shown}."
            if usable
            else "Add a unique constraint at the source, or write key: [] with ingest mode full.",
        )
        return
    nullable = [column for column in policy.key if (c := table.column(column)) is not None and not c.not_null]
    if nullable:
        findings.error(
            "nullable-key",
            name,
            "key",
            f"{', '.join(nullable)} may be NULL, and a row with NULL in its key is not identified",
            f"Write key: {shown}." if usable else "Declare the column NOT NULL at the source, or write key: [].",
        )


def usable_keys(table: LiveTable) -> list[tuple[str, ...]]:
    """The live keys that a policy can name: no column may be NULL, each can be declared. The primary key first."""
    reasons = declarable(table)
    not_null = {column.name for column in table.columns if column.not_null}
    keys = sorted(table.unique_keys, key=lambda key: (key != table.primary_key, len(key)))
    return [key for key in keys if all(column in not_null and reasons[column] is None for column in key)]


def _check_times(findings: Findings, name: str, policy: Table, table: LiveTable) -> None:
    time = table.column(policy.time or "")
    if time is not None and not time.not_null and policy.ingest.mode == "partition":
        findings.error(
            "nullable-time",
            name,
            "time",
            f"{time.name} may be NULL, and mode partition would never load such a row",
            "Declare the column NOT NULL at the source, or ingest with another mode.",
        )
    cursor = table.column(policy.ingest.cursor or "")
    if cursor is not None and not cursor.not_null:
        findings.warning(
            "nullable-cursor",
            name,
            "ingest.cursor",
            f"{cursor.name} may be NULL; such rows are found by comparing fingerprints only",
            "Declare the column NOT NULL at the source, or use mode full.",
        )
