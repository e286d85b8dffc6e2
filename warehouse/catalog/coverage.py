"""What an erasure does to every table and column, as a document that a compliance officer reads.

It follows from the catalog alone; the committed file is this function's result, and a test holds them equal. What does
not belong here: doing it (``warehouse.erasure``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import get_args

from warehouse.catalog.model import OTHERS, Catalog, Column, Erasure, Subject, System, Table
from warehouse.catalog.register import retention_text, subject_text

#: Below the project's folder.
FILE = "docs/erasure-coverage.md"

#: What is said of a table; ``{basis}`` is its own.
_ACTIONS = {
    "delete": "the rows go",
    "redact": "the rows stay, for others have a part in them; the person's own columns are emptied",
    "pseudonymise": "the rows stay because a law demands it; what names the person is replaced or emptied",
    "exempt": "nothing is done",
    "no_person": "nothing is done: the table is about nobody",
    "undecided": "nobody has decided yet: an erasure refuses to be planned",
}
_HOW = (
    "This follows from the policies in `warehouse/catalog/sources`, by which erasure works; a table or column of a live"
    " database that is not in them stops every erasure of its system."
)
_WHERE = (
    "What is said of a table holds in every place that has its rows: the application's database, the warehouse, and the"
    " lake with its old files. What is computed from them is made anew without the person. Rows past their age, and"
    " backups, go by their own dates."
)
_ORDER: tuple[str, ...] = get_args(Erasure.model_fields["action"].annotation)


def render_coverage(catalog: Catalog) -> str:
    """The document, in Markdown; the same catalog always gives the same text."""
    return "\n".join(_lines(catalog)) + "\n"


def fate(system: System, table: Table, name: str) -> str:
    """What becomes of one column of a row that is about an erased person."""
    column = table.columns[name]
    match table.erasure.action:
        case "delete":
            return f"goes with the row{_file(column)}"
        case "redact" | "pseudonymise":
            return _fate_in_kept_row(system, table, name)
        case "undecided":
            return "undecided"
        case _:
            return "stays"


def _fate_in_kept_row(system: System, table: Table, name: str) -> str:
    column = table.columns[name]
    owners = [subject for subject in table.subjects if name in table.own_columns(subject)]
    if owners:
        several = len({subject.column for subject in table.subjects}) > 1
        whom = " or ".join(dict.fromkeys(f"`{subject.column}`" for subject in owners))
        when = f" when {whom} is the one who is erased" if several else ""
        pseudonym = table.erasure.action == "pseudonymise" and any(
            subject.column == name and _holds_the_key(system, subject) for subject in owners
        )
        return f"{'becomes a random pseudonym' if pseudonym else 'is emptied'}{_file(column)}{when}"
    if column.personal is None:
        return "stays: it tells of no person"
    return "stays: it is of somebody else" if column.whose == OTHERS else "stays"


def _holds_the_key(system: System, subject: Subject) -> bool:
    return system.person is not None and system.target_of(subject) == (system.person.table, system.person.key)


def _file(column: Column) -> str:
    if column.bucket is None:
        return ""
    bucket = "the bucket that the row names" if "{" in column.bucket else f"`{column.bucket}`"
    return f", and the file in {bucket} goes with all its versions"


def _lines(catalog: Catalog) -> Iterator[str]:
    systems = [system for _, system in sorted(catalog.systems.items())]
    columns = sum(len(table.columns) for system in systems for table in system.tables.values())
    tables = sum(len(system.tables) for system in systems)
    yield "<!-- rendered by `drivetrain catalog render`; not edited by hand -->"
    yield "# What an erasure does, table by table"
    yield ""
    yield f"Systems: {len(systems)}, tables: {tables}, columns: {columns:,}; there are no others. {_HOW}"
    yield ""
    yield _WHERE
    yield ""
    yield from _summary(systems)
    yield from _kept(systems)
    for system in systems:
        yield from _system(system)


def _summary(systems: list[System]) -> Iterator[str]:
    yield "| on erasure | " + " | ".join(system.system for system in systems) + " | what it means |"
    yield "|---|" + "--:|" * len(systems) + "---|"
    counts = {system.system: Counter(t.erasure.action for t in system.tables.values()) for system in systems}
    for action in _ORDER:
        if any(counts[system.system][action] for system in systems):
            numbers = " | ".join(str(counts[system.system][action] or "–") for system in systems)
            yield f"| `{action}` | {numbers} | {_ACTIONS[action]} |"
    yield ""


def _kept(systems: list[System]) -> Iterator[str]:
    yield "## What survives, and why"
    yield ""
    yield "| table | on erasure | on which grounds | personal columns that stay |"
    yield "|---|---|---|---|"
    for system in systems:
        for name, table in system.tables.items():
            if table.erasure.action not in ("delete", "no_person"):
                stay = [column for column in table.personal if fate(system, table, column).startswith("stays")]
                grounds = table.erasure.basis or table.erasure.reason or "others have a part in the row"
                columns = ", ".join(f"`{column}`" for column in stay) or "none"
                link = f"[{system.system}.{name}](#{system.system}{name})"
                yield f"| {link} | `{table.erasure.action}` | {_cell(grounds)} | {columns} |"
    yield ""


def _system(system: System) -> Iterator[str]:
    yield f"## {_cell(system.title)}"
    yield ""
    yield f"{_cell(system.description)} Owner: {_cell(system.owner)}. Laws: {', '.join(system.laws) or 'none named'}."
    if system.person is not None:
        known = ", ".join(
            f"`{column}` ({kind.replace('_', ' ')})" for column, kind in system.person.identifiers.items()
        )
        yield f"A person is a row of `{system.person.table}`, key `{system.person.key}`, found by {known}."
    yield ""
    for name, table in system.tables.items():
        yield from _table(system, name, table)


def _table(system: System, name: str, table: Table) -> Iterator[str]:
    yield f"### {system.system}.{name}"
    yield ""
    yield _cell(table.description)
    yield ""
    action, retention = table.erasure.action, table.retention
    about = ", ".join(f"`{subject_text(subject)}`" for subject in table.subjects) or "nobody"
    grounds = table.erasure.basis or table.erasure.reason
    yield f"- About: {about}{'' if table.reviewed else ' (**a draft that nobody has reviewed**)'}"
    yield f"- Kept: {retention_text(retention)}{f' ({_cell(retention.basis)})' if retention.basis else ''}"
    yield f"- On erasure: **{action}**: {_ACTIONS[action]}{f'. {_cell(grounds)}' if grounds else ''}"
    yield ""
    yield "| column | what it tells of a person | whose it is | on erasure |"
    yield "|---|---|---|---|"
    for column, policy in table.columns.items():
        yield f"| `{column}` | {_kind(policy)} | {_whose(table, column)} | {fate(system, table, column)} |"
    yield ""


def _kind(column: Column) -> str:
    return "" if column.personal is None else column.personal.replace("_", " ")


def _whose(table: Table, name: str) -> str:
    column = table.columns[name]
    if column.personal is None:
        return ""
    if column.whose == OTHERS:
        return "somebody else's"
    owners = dict.fromkeys(subject.column for subject in table.subjects if name in table.own_columns(subject))
    return ", ".join(f"`{owner}`" for owner in owners) or ("" if table.subjects else "nobody's who uses the system")


def _cell(text: str) -> str:
    """One line, and harmless in a table."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
