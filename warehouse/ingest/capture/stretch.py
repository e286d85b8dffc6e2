"""One stretch of the log, from whole transactions to net effects by table.

What does not belong here: applying them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from warehouse.errors import DrivetrainError
from warehouse.ingest.capture.folding import Net, Shape
from warehouse.postgres.pgoutput import Begin, Commit, Delete, Insert, Message, Relation, Truncate, Update
from warehouse.postgres.visibility import Seen

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Followed:
    """A table as the log's reader knows it.

    Attributes:
        where: what an error names.
        columns, key: that are declared.
        applied: transactions that end up to here are applied already.
        seen: which its last comparison saw.
    """

    where: str
    columns: Sequence[str]
    key: Sequence[str]
    applied: int
    seen: Seen


@dataclass
class Stretch:
    """What a stretch of the log amounts to.

    Attributes:
        tables: by schema and name at the source.
        visible: which transactions everybody could see when the reading began: what comes after one that nobody could
            is not taken yet.
        nets: effects by table.
        failed: tables whose changes cannot be understood; what was folded of them is void.
        end: position after the last whole transaction; 0 if there was none.
        committed_at: when that was committed.
        messages: that were told, of whatever.
        held_back: that there was such a transaction.
    """

    tables: Mapping[tuple[str, str], Followed]
    visible: Seen
    nets: dict[tuple[str, str], Net] = field(default_factory=dict[tuple[str, str], Net])
    failed: dict[tuple[str, str], DrivetrainError] = field(default_factory=dict[tuple[str, str], DrivetrainError])
    end: int = 0
    committed_at: dt.datetime | None = None
    messages: int = 0
    held_back: bool = False
    _relations: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    _shapes: dict[int, Shape | DrivetrainError] = field(default_factory=dict[int, "Shape | DrivetrainError"])
    _skipped: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def read(self, messages: Iterable[Message | None]) -> Stretch:
        """Fold messages in the order of the log."""
        for message in messages:
            self.messages += 1
            match message:
                case Insert(relation=number) | Update(relation=number) | Delete(relation=number):
                    self._change(number, message)
                case Begin(xid=xid) if not self.visible.has(xid):
                    self.held_back = True
                    break
                case Begin(lsn=lsn, xid=xid):
                    self._skipped = {
                        name for name, table in self.tables.items() if lsn < table.applied or table.seen.has(xid)
                    }
                case Commit(end=end, at=at):
                    self.end, self.committed_at = end, _EPOCH + dt.timedelta(microseconds=at)
                case Relation():
                    self._know(message)
                case Truncate(relations=numbers):
                    for number in numbers:
                        self._empty(number)
                case None:
                    pass
        return self

    def _know(self, relation: Relation) -> None:
        name = (relation.schema, relation.name)
        table = self.tables.get(name)
        if table is None:
            self._relations.pop(relation.id, None)
            return
        self._relations[relation.id] = name
        try:
            self._shapes[relation.id] = Shape.of(table.where, relation, table.columns, table.key)
        except DrivetrainError as error:  # it matters only if something changes
            self._shapes[relation.id] = error

    def _change(self, number: int, change: Insert | Update | Delete) -> None:
        name = self._relations.get(number)
        if name is None or name in self._skipped or name in self.failed:
            return
        shape = self._shapes[number]
        if isinstance(shape, DrivetrainError):
            self.failed[name] = shape
            return
        self.nets.setdefault(name, Net()).fold(change, shape)

    def _empty(self, number: int) -> None:
        name = self._relations.get(number)
        if name is not None and name not in self._skipped:
            net = self.nets.setdefault(name, Net())
            net.emptied = True
            net.changes += 1
            net.rows.clear()
