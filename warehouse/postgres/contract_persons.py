"""Part of the contract: whether every row that is about a person is known to be, and its way to the person works."""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.catalog.base import join_name
from warehouse.catalog.model import Person, Subject, System, Table
from warehouse.catalog.naming import is_of_split
from warehouse.postgres.finding import Findings
from warehouse.postgres.introspection import LiveForeignKey, LiveTable
from warehouse.postgres.matching import alike


def check_persons(findings: Findings, system: System, live: Mapping[tuple[str, str], LiveTable]) -> None:
    """Add broken ways to a person, and tables that lead to one without saying so."""
    names = {system.source_of(name): name for name in system.tables}
    tables = {name: table for source, name in names.items() if (table := live.get(source)) is not None}
    if system.person is None:
        if personal := [name for name, policy in system.tables.items() if policy.personal]:
            findings.warning(
                "no-person",
                "",
                "person",
                f"no person is declared, and {len(personal)} table(s) have personal columns: {', '.join(personal[:3])}",
                "Name the table that lists the persons, or say with personal: that the columns tell of nobody.",
            )
        return
    _check_person(findings, system.person, tables)
    for name, policy in system.tables.items():
        if name in tables:
            for subject in policy.subjects:
                _check_way(findings, system, tables, name, subject)
            _check_forgotten(findings, system, name, policy, tables[name], names)
    for source, table in live.items():
        if source not in names and not is_of_split(source[1]):
            for key in _leading(system, table, names):
                findings.error(
                    "forgotten-person",
                    join_name(*source),
                    "subjects",
                    f"nobody declared this table, and its foreign key {key.name} leads to a person",
                    "Declare the table with its subjects, or erasure leaves its rows behind.",
                )


def _check_person(findings: Findings, person: Person, tables: Mapping[str, LiveTable]) -> None:
    table = tables.get(person.table)
    if table is not None and table.column(person.key) is not None and (person.key,) not in table.unique_keys:
        findings.error(
            "person-key",
            person.table,
            person.key,
            "person.key is no primary or unique key of the table, so one value may mean two persons",
            "Name the column that identifies one person, or add a unique constraint at the source.",
        )


def _check_way(
    findings: Findings, system: System, tables: Mapping[str, LiveTable], name: str, subject: Subject
) -> None:
    """One hop; the next is checked where its own table is."""
    person = system.person
    assert person is not None  # the caller asks only then
    start = tables[name].column(subject.column)
    if subject.table is None:
        table, column = person.table, person.key
    else:
        table, column = subject.table, subject.to or system.tables[subject.table].key[0]
    end = tables[table].column(column) if table in tables else None
    if start is None or end is None:
        missing = f"{name}.{subject.column}" if start is None else f"{table}.{column}"
        findings.error(
            "broken-way",
            name,
            "subjects",
            f"the way by {subject.column} ends early: the database has no {missing}",
            "Correct the policy: erasure would not find these rows.",
        )
    elif not alike(start, end):
        findings.error(
            "broken-way",
            name,
            "subjects",
            f"{subject.column} is {start.type.name}, and {table}.{column}, which it should lead to, is {end.type.name}",
            f"Name the column that holds values of {table}.{column}.",
        )


def _leading(system: System, table: LiveTable, names: Mapping[tuple[str, str], str]) -> list[LiveForeignKey]:
    """Foreign keys to the person table, or to a table whose rows are declared to be about persons."""
    found: list[LiveForeignKey] = []
    for key in table.foreign_keys:
        target = names.get((key.schema, key.table))
        if target is None or (key.schema, key.table) == (table.schema, table.name):
            continue
        if system.person is not None and (target == system.person.table or system.tables[target].subjects):
            found.append(key)
    return found


def _check_forgotten(
    findings: Findings,
    system: System,
    name: str,
    policy: Table,
    table: LiveTable,
    names: Mapping[tuple[str, str], str],
) -> None:
    action = policy.erasure.action
    person = system.person
    assert person is not None  # the caller asks only then
    if action == "exempt" or name == person.table:
        return
    named = {subject.column for subject in policy.subjects}
    for key in _leading(system, table, names):
        target = names[key.schema, key.table]
        by = ", ".join(key.columns)
        if not policy.subjects:
            add = findings.warning if action == "undecided" else findings.error
            way = by if target == person.table and key.referenced == (person.key,) else f"{by} -> {target}"
            add(
                "forgotten-person",
                name,
                "subjects",
                f"foreign key {key.name} ({by}) leads to {target}, and the policy declares no subjects",
                f"Write subjects: [{way}], or erasure: {{action: exempt, reason: ...}}.",
            )
        elif target == person.table and not named & set(key.columns):
            findings.warning(
                "forgotten-way",
                name,
                "subjects",
                f"foreign key {key.name} ({by}) leads to {target}, and {by} is not among the subjects",
                f"Add {by} to subjects, or the rows of that person are not found by it.",
            )
