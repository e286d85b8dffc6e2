"""What a plan consists of: actions with their reason, and statements with the lock that each takes.

Plain values: they can be printed, compared, refused, and carried out by ``warehouse.partitions.apply``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["create", "mend", "index", "analyze", "report", "refuse"]

#: What an action of a kind is counted as, one and several.
_COUNTED: dict[str, tuple[str, str]] = {
    "create": ("partition to make", "partitions to make"),
    "mend": ("partition to mend", "partitions to mend"),
    "index": ("index to build", "indexes to build"),
    "analyze": ("table to analyse", "tables to analyse"),
}
#: What a finding is called where a person reads it.
TITLES: dict[Kind, str] = {"refuse": "refused", "report": "note"}

#: The strongest lock that a statement takes, and what that holds up.
SHARE = "SHARE"
SHARE_UPDATE = "SHARE UPDATE EXCLUSIVE"
SHARE_ROW = "SHARE ROW EXCLUSIVE"
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"


@dataclass(frozen=True)
class Statement:
    """One SQL statement as it will be sent.

    Attributes:
        sql: its text.
        lock: the strongest lock that it takes on anything that is in use, and on what; '' for none.
        patient: it holds up no writer while it waits for a lock, and so may wait longer than others.
        undo: what takes away what it leaves behind when it fails, of one that cannot run in a transaction.
    """

    sql: str
    lock: str = ""
    patient: bool = False
    undo: str = ""


@dataclass(frozen=True)
class Action:
    """One thing to do, or to say.

    Attributes:
        kind: ``create`` a partition; ``mend`` what an existing one lacks; build an ``index`` that it lacks; ``analyze``
            the parent; ``report`` what somebody should know and nothing is done about; ``refuse`` what would be due and
            cannot be done.
        system, table: as in the catalog.
        where: ``source`` or ``warehouse``.
        partition: schema and name; '' for the table itself.
        reason: why, for a person.
        remedy: what a person can do, where something is reported or refused.
        statements: in order; one transaction, unless ``alone``.
        alone: each statement is a transaction of its own (CREATE INDEX CONCURRENTLY), and what was done stays.
        drift: it is about a partition that is not what its parent is.
    """

    kind: Kind
    system: str
    table: str
    where: Literal["source", "warehouse"]
    partition: str
    reason: str
    remedy: str = ""
    statements: tuple[Statement, ...] = ()
    alone: bool = False
    drift: bool = False


@dataclass(frozen=True)
class Plan:
    """What maintenance would do now.

    Attributes:
        actions: in the order in which they are carried out.
    """

    actions: tuple[Action, ...] = field(default=())

    @property
    def changes(self) -> tuple[Action, ...]:
        """Those that do something."""
        return tuple(action for action in self.actions if action.statements)

    @property
    def findings(self) -> tuple[Action, ...]:
        """Those that only say something."""
        return tuple(action for action in self.actions if not action.statements)


def summary(actions: Iterable[Action]) -> str:
    """What is due, and what is only said: ``45 partitions to make, 12 tables to analyse; 3 refused, 2 notes``."""
    actions = list(actions)
    counts = {kind: sum(1 for action in actions if action.statements and action.kind == kind) for kind in _COUNTED}
    due = ", ".join(f"{count:,} {_COUNTED[kind][count > 1]}" for kind, count in counts.items() if count)
    said = noted(actions)
    return (due or "Nothing is due") + (f"; {said}" if said else "")


def noted(actions: Iterable[Action]) -> str:
    """``3 refused, 2 notes``; '' where nothing is said."""
    kinds = [action.kind for action in actions if not action.statements]
    refused, notes = kinds.count("refuse"), kinds.count("report")
    said = [f"{refused:,} refused"] if refused else []
    said += [f"{notes:,} note{'s' if notes > 1 else ''}"] if notes else []
    return ", ".join(said)
