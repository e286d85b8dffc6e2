"""Indexes of partitions: each is to have a part of every index of its parent.

PostgreSQL makes them when a partition is attached, or an index is made on the parent. They are missing where somebody
made one ``ON ONLY`` the parent, to build it without holding up writers, and did not complete it. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from warehouse.partitions import ddl
from warehouse.partitions.actions import Action, Statement
from warehouse.partitions.facts import Index, Lack, PartitionedTable
from warehouse.partitions.targets import Target


def part_name(partition: str, index: str) -> str:
    """Name of a partition's part of an index: the same each time, so that one whose making was cut off is known."""
    name = f"{partition}_{index}"
    if len(name.encode()) <= ddl.NAME_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: ddl.NAME_BYTES - 9].decode(errors='ignore')}_{digest}"


def identity(facts: PartitionedTable, columns: str) -> Index | None:
    """The table's index that can be the replica identity of such columns (``index (a, b)``)."""
    return next((index for index in facts.indexes if index.identity == columns), None)


def of_new(facts: PartitionedTable, name: str, columns: str) -> list[Statement]:
    """The index that is a new partition's replica identity, made before ATTACH would make one of a name of its own."""
    index = identity(facts, columns)
    if index is None or index.shape is None:
        return []
    own = part_name(name, index.name)
    made = [ddl.create_index(index, facts.schema, name, own)]
    if index.constraint:
        made.append(ddl.constrain(index, facts.schema, name, own))
    return [*made, ddl.identify(facts.schema, name, own)]


def lacking(target: Target, facts: PartitionedTable) -> Iterable[Action]:
    """Partitions without a valid part of an index of the table, from the top down."""
    used: set[tuple[str, str, str]] = set()
    later: set[tuple[str, str, str]] = set()  # what lies under them depends on what becomes of them
    for lack in facts.lacks:
        if (*lack.parent, lack.index.name) in later:
            later.add((lack.schema, lack.partition, lack.index.name))
            continue
        if lack.broken:
            yield _rebuilt(target, lack)
            continue
        own = _equal(lack, used)
        action = _built(target, facts, lack, own)
        yield action
        if own is not None:
            used.add((lack.schema, lack.partition, own.name))
        if own is not None or not action.statements:
            later.add((lack.schema, lack.partition, lack.index.name))


def _reason(lack: Lack) -> str:
    return f"has no valid part of the index {lack.index.name}"


def _above(lack: Lack) -> tuple[str, str]:
    """The index that the part belongs to; one that the parent lacks has been made by then."""
    schema, parent = lack.parent
    return schema, lack.above or part_name(parent, lack.index.name)


def _equal(lack: Lack, used: set[tuple[str, str, str]]) -> Index | None:
    """An index that is there, is the same, and needs only to be attached; best with the constraint that is wanted."""
    wanted = lack.index
    same = [
        index
        for index in lack.beside
        if (index.valid or not lack.leaf)
        and index.shape is not None
        and (index.unique, index.shape, index.predicate) == (wanted.unique, wanted.shape, wanted.predicate)
        and (lack.schema, lack.partition, index.name) not in used
    ]
    for index in same:
        if not wanted.constraint or (index.constraint, index.timing) == (wanted.constraint, wanted.timing):
            return index
    return next((index for index in same if not index.constraint and lack.leaf), None)


def _rebuilt(target: Target, lack: Lack) -> Action:
    cut_off = ddl.rebuilt(lack.broken)
    return target.action(
        "index",
        lack.partition,
        f"its part {lack.broken} of the index {lack.index.name} is not valid",
        statements=[
            *_away(lack, cut_off),
            ddl.rebuild_index(lack.schema, lack.partition, lack.broken),
            ddl.attach_index(_above(lack), (lack.schema, lack.broken)),  # it is: looks whether the whole is valid now
        ],
        alone=True,
    )


def _away(lack: Lack, name: str) -> list[Statement]:
    """What an attempt that was cut off left: nobody uses an index that is not valid, and every writer maintains it."""
    left = any(index.name == name and not index.valid for index in lack.beside)
    return [ddl.drop_index(lack.schema, lack.partition, name)] if left else []


def _built(target: Target, facts: PartitionedTable, lack: Lack, own: Index | None) -> Action:
    wanted, name = lack.index, own.name if own else part_name(lack.partition, lack.index.name)
    hindrance = _hindrance(facts, lack, own, name)
    if hindrance:
        return target.action("report", lack.partition, f"{_reason(lack)}: {hindrance[0]}", remedy=hindrance[1])
    statements: list[Statement] = []
    if own is None and lack.leaf:
        statements += [
            *_away(lack, name),
            ddl.create_index(wanted, lack.schema, lack.partition, name, concurrently=True),
        ]
    if wanted.constraint and (own is None or not own.constraint):
        statements.append(ddl.constrain(wanted, lack.schema, lack.partition, name, leaf=lack.leaf))
    elif own is None and not lack.leaf:
        statements.append(ddl.create_index(wanted, lack.schema, lack.partition, name))
    statements.append(ddl.attach_index(_above(lack), (lack.schema, name)))
    identifying = facts.surroundings.replica_identity == wanted.identity
    if wanted.identity and identifying and lack.leaf and lack.parent == (facts.schema, facts.name):
        statements.append(ddl.identify(lack.schema, lack.partition, name))
    return target.action("index", lack.partition, _reason(lack), statements=statements, alone=lack.leaf)


def _hindrance(facts: PartitionedTable, lack: Lack, own: Index | None, name: str) -> tuple[str, str] | None:
    """Why it cannot be made here, and what a person can do."""
    by_hand = "Make it on the partition by hand, then ALTER INDEX ... ATTACH PARTITION."
    if lack.index.constraint == "other":
        return "an exclusion constraint cannot be made beside writers", by_hand
    if lack.index.shape is None:
        return "its definition could not be read", by_hand
    others = [index.name for index in lack.beside if index.constraint == "PRIMARY KEY" and index is not own]
    if lack.index.constraint == "PRIMARY KEY" and others:
        return f"it has a primary key of its own ({others[0]})", f"Drop {others[0]}, or the parent's."
    left = any(index.name == name and not index.valid and lack.leaf for index in lack.beside)  # by an earlier attempt
    taken = lack.schema == facts.schema and name in facts.namesakes
    if own is None and not left and (taken or any(index.name == name for index in lack.beside)):
        return f"something else is named {name}", "Rename it."
    return None
