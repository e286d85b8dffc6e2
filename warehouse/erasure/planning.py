"""What becomes of a person's rows in a system's own tables, from its catalog and what the live tables are: which
columns become what, in which order, and everything that stands in the way. Pure.

What does not belong here: counting rows, and changing any (``operational``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from warehouse.catalog.model import System, Table
from warehouse.erasure.order import Edge, Gives, children_first
from warehouse.erasure.replacing import replacement_of
from warehouse.erasure.shape import Check, ForeignKey, Name, Shape

Action = Literal["delete", "redact", "pseudonymise"]
To = Literal["null", "text", "json", "array", "pseudonym"]
_TEXT = re.compile(r"text|citext|character varying(\((\d+)\))?|character\((\d+)\)")
_NUMBER = re.compile(r"smallint|integer|bigint|real|double precision|numeric.*|money")
#: Shorter ones would not stay unique.
_SHORTEST = 16


@dataclass(frozen=True)
class Emptied:
    """What a column becomes in rows that stay: NULL; where it may not, a random text, an empty document or array; a
    person's own key a pseudonym. ``size``: characters of a text.
    """

    column: str
    type: str
    to: To
    size: int = 0


@dataclass(frozen=True)
class Guard:
    """Rows go only when no row references them by a foreign key, so that the server never acts on one by itself."""

    child: Name
    columns: tuple[str, ...]
    referenced: tuple[str, ...]
    itself: bool


@dataclass(frozen=True)
class Reference:
    """A foreign key onto rows that go, and the subject columns by which a referencing row is dealt with before."""

    key: ForeignKey
    child: str | None
    parent: str
    released: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """What happens to the rows of one table.

    Attributes:
        table, relation: which; as the catalog and as the database name it.
        action: what its policy says.
        emptied: by subject column, what is emptied where it names the person; nothing where rows go.
        types: of its columns.
        ways: columns from which ways lead on to other tables: a row goes only when all these know of it.
        totals: columns of numbers that must be what they were.
        guards: see there.
        unlinked: columns that are emptied before, as the keys go in a circle.
        together: the other tables whose rows have to go in the same transaction.
        checks: constraints that look at a column that is emptied.
    """

    table: str
    relation: Name
    action: Action
    emptied: Mapping[str, tuple[Emptied, ...]]
    types: Mapping[str, str]
    ways: tuple[str, ...] = ()
    totals: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = ()
    unlinked: tuple[str, ...] = ()
    together: frozenset[str] = frozenset()
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Outline:
    """Every step in its order, the foreign keys whose rows have to be counted, and what stands in the way."""

    steps: tuple[Step, ...]
    references: tuple[Reference, ...]
    problems: tuple[str, ...]


@dataclass
class _Outlining:
    system: System
    shape: Shape
    names: Mapping[Name, str]
    steps: dict[str, Step] = field(default_factory=dict[str, Step])
    problems: list[str] = field(default_factory=list[str])

    def refuse(self, table: str, column: str, what: str) -> None:
        where = ".".join(part for part in (self.system.system, table, column) if part)
        self.problems.append(f"{where}: {what}")


def outline(system: System, shape: Shape) -> Outline:
    """What becomes of any person's rows.

    Args:
        system: the catalog's.
        shape: of the schemas that it names; the contract between the two holds.
    """
    names = {system.source_of(name): name for name in system.tables}
    work = _Outlining(system, shape, names)
    for name, table in system.tables.items():
        if table.erasure.action == "undecided" or not table.reviewed:
            work.refuse(name, "", "its policy is a draft; decide what erasure does, and remove `reviewed: false`")
        elif table.erasure.action in ("delete", "redact", "pseudonymise") and system.source_of(name) in shape.tables:
            work.steps[name] = _step(work, name, table)
    references = _references(work)
    edges = _guard(work)
    order = children_first(list(work.steps), edges)
    if order.stuck:
        keys = ", ".join(sorted({edge.key.name for edge in order.stuck}))
        tables = ", ".join(sorted({edge.first for edge in order.stuck}))
        work.refuse(tables, "", f"the foreign keys {keys} go in a circle; make one nullable, or DEFERRABLE")
    for edge in order.emptied:
        step = work.steps[edge.first]
        columns = tuple(dict.fromkeys((*step.unlinked, *_loose(work, edge.key))))
        work.steps[edge.first] = replace(step, unlinked=columns)
    for group in order.together:
        for name in group:
            work.steps[name] = replace(work.steps[name], together=group)
    return Outline(tuple(work.steps[name] for name in order.tables), references, tuple(work.problems))


def _direct(table: Table, column: str) -> bool:
    return any(each.column == column and each.table is None for each in table.subjects)


def _step(work: _Outlining, name: str, table: Table) -> Step:
    relation = work.system.source_of(name)
    live = work.shape.tables[relation]
    types = {column.name: column.type.name for column in live.columns}
    subjects = dict.fromkeys(each.column for each in table.subjects)
    ways = dict.fromkeys(
        each.to or work.system.tables[name].key[0]
        for other in work.system.tables.values()
        for each in other.subjects
        if each.table == name
    )
    action = table.erasure.action
    if action == "delete":
        return Step(name, relation, "delete", dict.fromkeys(subjects, ()), types, tuple(ways))
    assert action in ("redact", "pseudonymise")
    own = replacement_of(table, {}).own
    emptied: dict[str, tuple[Emptied, ...]] = {}
    for subject in subjects:
        if _direct(table, subject) and subject not in own[subject]:
            work.refuse(name, subject, "it holds the person's key in rows that stay; mark it personal: person_id")
        found = [_emptied(work, name, table, subject, column) for column in own[subject]]
        emptied[subject] = tuple(each for each in found if each is not None)
        _check_uniques(work, name, relation, emptied[subject])
    changed = {each.column for group in emptied.values() for each in group}
    for key in work.shape.keys:
        if key.parent == relation and changed & set(key.referenced):
            by = sorted(changed & set(key.referenced))[0]
            work.refuse(name, by, f"it is emptied, and foreign key {key.name} references it; take it out of personal:")
    checks = tuple(each for each in work.shape.checks.get(relation, ()) if changed & set(each.columns))
    loose = {column for key in work.shape.keys if key.child == relation for column in key.columns}
    totals = [
        column.name for column in live.columns
        if _NUMBER.fullmatch(column.type.carrier) and column.name not in changed | loose
    ]  # fmt: skip
    return Step(name, relation, action, emptied, types, tuple(ways), tuple(totals), checks=checks)


def _emptied(work: _Outlining, name: str, table: Table, subject: str, column: str) -> Emptied | None:
    relation = work.system.source_of(name)
    live = work.shape.tables[relation].column(column)
    assert live is not None  # the contract holds
    if (relation, column) in work.shape.fixed:
        work.refuse(name, column, "it has to be emptied, and the server generates it; take it out of personal:")
        return None
    kind, carrier = live.type.name, live.type.carrier
    if table.erasure.action == "pseudonymise" and column == subject and _direct(table, column):
        made = Emptied(column, kind, "pseudonym")
    elif (relation, column) not in work.shape.filled:
        made = Emptied(column, kind, "null")
    elif live.type.array:
        made = Emptied(column, kind, "array")
    elif carrier in ("json", "jsonb"):
        made = Emptied(column, kind, "json")
    elif (found := _TEXT.fullmatch(carrier)) and (size := int(found[2] or found[3] or 39)) >= _SHORTEST:
        made = Emptied(column, kind, "text", min(size, 39))
    else:
        work.refuse(
            name, column,
            f"it has to be emptied, is NOT NULL, and nothing stands for an empty {carrier}; DROP NOT NULL at the"
            " source, or delete the rows",
        )  # fmt: skip
        return None
    if made.to in ("text", "pseudonym"):
        for key in work.shape.keys:
            if key.child == relation and column in key.columns:
                work.refuse(
                    name, column,
                    f"foreign key {key.name} would lead a row that stays to a row that goes; drop the key, or let the"
                    " column be NULL and redact",
                )  # fmt: skip
    return made


def _check_uniques(work: _Outlining, name: str, relation: Name, emptied: Sequence[Emptied]) -> None:
    to = {each.column: each.to for each in emptied}
    for unique in work.shape.uniques.get(relation, ()):
        kinds = {to[column] for column in unique.columns if column in to}
        apart = "text" in kinds or ("null" in kinds and unique.nulls_distinct) or kinds <= {"pseudonym"}
        if not apart:
            column = next(column for column in unique.columns if column in to)
            work.refuse(
                name, column,
                f"emptied in several rows it would break the unique index {unique.name}; drop the index, or delete"
                " the rows",
            )  # fmt: skip


def _references(work: _Outlining) -> tuple[Reference, ...]:
    """Foreign keys onto rows that go. What the server would do by itself is refused where the catalog says else."""
    found: list[Reference] = []
    for key in work.shape.keys:
        parent = work.names.get(key.parent, "")
        if (goes := work.steps.get(parent)) is None or goes.action != "delete":
            continue
        child = work.names.get(key.child)
        step = work.steps.get(child or "")
        released = () if step is None else tuple(s for s in step.emptied if _releases(step, s, key))
        if child is None:
            work.refuse(".".join(key.child), ",".join(key.columns),
                        f"nobody declared this table, and its foreign key {key.name} references rows that go;"
                        " declare it")  # fmt: skip
        elif key.on_delete == "c" and not released:
            work.refuse(
                child, ",".join(key.columns),
                f"foreign key {key.name} deletes its rows with those of {parent} (ON DELETE CASCADE), and its policy"
                " does not; change the key, or say erasure: delete",
            )  # fmt: skip
        else:
            found.append(Reference(key, child, parent, released))
    return tuple(found)


def _releases(step: Step, subject: str, key: ForeignKey) -> bool:
    """Whether a row no longer references once it is dealt with by a subject column."""
    return step.action == "delete" or any(e.column in key.columns and e.to == "null" for e in step.emptied[subject])


def _guard(work: _Outlining) -> list[Edge]:
    """Let rows wait for those that reference them; the edges that follow from it."""
    edges: list[Edge] = []
    for key in work.shape.keys:
        first, then = work.names.get(key.child, ""), work.names.get(key.parent, "")
        if first not in work.steps or then not in work.steps or work.steps[then].action != "delete":
            continue
        refuses = key.on_delete in ("a", "r", "c") or any((key.child, column) in work.shape.filled
                                                         for column in key.columns)  # fmt: skip
        if refuses or _is_way(work, first, key):
            guard = Guard(key.child, key.columns, key.referenced, key.child == key.parent)
            work.steps[then] = replace(work.steps[then], guards=(*work.steps[then].guards, guard))
            edges.append(Edge(first, then, key, _gives(work, first, key)))
        else:
            edges.append(Edge(first, then, key, "by itself"))
    return edges


def _is_way(work: _Outlining, child: str, key: ForeignKey) -> bool:
    """Whether a row that is emptied by the server would no longer lead to its person."""
    step = work.steps[child]
    return any(
        key.columns == (subject.column,)
        and work.system.target_of(subject) == (work.names[key.parent], key.referenced[0])
        and _releases(step, subject.column, key)
        for subject in work.system.tables[child].subjects
    )


def _gives(work: _Outlining, child: str, key: ForeignKey) -> Gives:
    if work.steps[child].action == "delete" and _loose(work, key):
        return "emptied"
    return "deferred" if key.deferrable else "never"


def _loose(work: _Outlining, key: ForeignKey) -> tuple[str, ...]:
    """Columns of a foreign key that can be emptied, and by which no row is found."""
    subjects = {each.column for each in work.system.tables[work.names[key.child]].subjects}
    return tuple(
        column for column in key.columns
        if (key.child, column) not in work.shape.filled | work.shape.fixed and column not in subjects
    )  # fmt: skip
