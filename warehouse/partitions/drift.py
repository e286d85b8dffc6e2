"""What a partition is to have beside its rows, and the partitions that have something else.

What is wanted of a partition is its parent's (docs/adr/0014). Pure, as all of the planning.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from warehouse.partitions import ddl, indexes
from warehouse.partitions.actions import Action, Statement
from warehouse.partitions.facts import Part, PartitionedTable, Surroundings
from warehouse.partitions.targets import Target


def model(facts: PartitionedTable) -> Surroundings | None:
    """Those of the newest partition: storage and the like, of which a parent has none."""
    leaves = [part for part in facts.parts if part.leaf and not part.foreign and not part.default]
    if not leaves:
        return None
    beginning = dt.datetime.min.replace(tzinfo=dt.UTC)
    return max(leaves, key=lambda part: (part.bound and part.bound.end) or beginning).surroundings


def due_of_new(facts: PartitionedTable) -> Surroundings:
    """What a partition that is about to be made is to have; storage and tablespace are its model's."""
    sibling = model(facts)
    due = replace(facts.surroundings, publications=sibling.publications if sibling else frozenset())
    if not _granted_directly(facts):
        due = replace(due, grants=frozenset[Any](), column_grants=frozenset[Any]())
    if due.replica_identity == "default" and sibling is not None:
        due = replace(due, replica_identity=sibling.replica_identity)
    return due


def _granted_directly(facts: PartitionedTable) -> bool:
    """Whether most partitions are granted to somebody: who reads through the parent needs no grant on them."""
    granted = [bool(part.surroundings.grants or part.surroundings.column_grants) for part in facts.parts]
    return sum(granted) * 2 > len(granted)


def drifted(target: Target, facts: PartitionedTable) -> list[Action]:
    """Partitions that are not what their parent is: mended, or only reported, as the table's policy says."""
    found = [replace(action, drift=True) for action in _differences(target, facts)]
    if target.declared.drift == "mend":
        return found
    return [_reported(action) if action.statements else action for action in found]


def _reported(action: Action) -> Action:
    statements = "; ".join(statement.sql for statement in action.statements)
    return replace(
        action,
        kind="report",
        remedy=f"Its policy says `drift: report`. Say `mend` there, or run: {statements}",
        statements=(),
        alone=False,
    )


def _differences(target: Target, facts: PartitionedTable) -> Iterable[Action]:
    yield from _unlike(target, facts)
    identity = facts.surroundings.replica_identity
    if identity.startswith("index") and indexes.identity(facts, identity) is None:
        yield target.action(
            "report",
            "",
            f"its replica identity is {identity}, and there is no such index: updates and deletes cannot be replicated",
            remedy="ALTER TABLE ... REPLICA IDENTITY of the table; its partitions follow.",
        )
    yield from indexes.lacking(target, facts)


def _unlike(target: Target, facts: PartitionedTable) -> Iterable[Action]:
    """Partitions of the table, and theirs, that are not what the table is."""
    listed = frozenset[str]().union(*(part.surroundings.publications for part in facts.parts))
    granted = _granted_directly(facts)
    identity = facts.surroundings.replica_identity
    right = set[tuple[Surroundings, bool]]()  # thousands of partitions are mostly alike: judged once
    for part in facts.parts:
        have = part.surroundings
        if part.foreign or (have, part.leaf) in right:
            continue
        due = replace(facts.surroundings, publications=listed if part.leaf else have.publications)
        if not granted:  # more than the parent's are too many all the same
            due = replace(due, grants=have.grants & due.grants, column_grants=have.column_grants & due.column_grants)
        if due.replica_identity == "default":
            due = replace(due, replica_identity=have.replica_identity)
        identified = _identified(facts, part, due)
        if not identified and due.replica_identity.startswith("index"):
            due = replace(due, replica_identity=have.replica_identity)
        statements = [
            *ddl.give(part.schema, part.name, have, due),
            *ddl.force(part.schema, part.name, have, due),
            *identified,
        ]
        if statements:
            yield target.action(
                "mend", part.name, f"differs from its parent in {_what_differs(have, due)}", statements=statements
            )
        elif not identity.startswith("index"):  # which is the partition's own
            right.add((have, part.leaf))
    for sub in facts.subs:
        yield from _unlike(target, replace(sub, surroundings=facts.surroundings))


def _identified(facts: PartitionedTable, part: Part, due: Surroundings) -> list[Statement]:
    """The partition's own part of the index that is its parent's replica identity, made its own. One that is yet to be
    built is made it then.
    """
    wanted = due.replica_identity
    index = indexes.identity(facts, wanted) if wanted.startswith("index") else None
    if index is None or part.surroundings.replica_identity == wanted:
        return []
    return [ddl.identify(part.schema, part.name, own) for name, own in part.indexes if name == index.name]


def _what_differs(have: Surroundings, due: Surroundings) -> str:
    words = {
        "owner": have.owner != due.owner,
        "row-level security": have.row_security != due.row_security or set(have.policies) != set(due.policies),
        "grants": have.grants != due.grants or have.column_grants != due.column_grants,
        "replica identity": have.replica_identity != due.replica_identity,
        "publications": not due.publications <= have.publications,
        "statistics targets": not due.statistics <= have.statistics,
        "comments": (have.comment is None and due.comment is not None)
        or not {column for column, _ in due.column_comments} <= {column for column, _ in have.column_comments},
    }
    return ", ".join(word for word, differs in words.items() if differs)
