"""What a stretch of the log amounts to, table by table: of every row that changed, what it is in the end. Pure.

Changes are folded in the order of commit, so that of a row that was inserted, changed thrice and deleted nothing is
left but that it is gone. A value that the log does not have (an unchanged TOAST value) is looked for among the changes
before; if they do not have it either, it is the one that the warehouse holds, under the key that the row had then.

What does not belong here: where changes come from, and applying them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from warehouse.errors import CatalogMismatch
from warehouse.postgres.pgoutput import UNCHANGED, Delete, Insert, Relation, Row, Update, Value

#: Images of a key's values. Two that are equal and look otherwise (1.0 and 1.00) are two keys; the server tells them
#: apart in the same way, and sends the old one when a row's becomes the other.
Key = tuple[bytes, ...]


@dataclass(frozen=True)
class Changed:
    """A row as it is in the end.

    Attributes:
        values: of the declared columns, in order; some may be ``UNCHANGED``.
        base: key under which the warehouse has these; None: there are none.
    """

    values: Row
    base: Key | None = None


@dataclass(frozen=True)
class Shape:
    """Where a table's declared columns are in the tuples of the log, and its key among the declared.

    Attributes:
        places: of each declared column in a tuple.
        key: of each key column among the declared.
    """

    places: tuple[int, ...]
    key: tuple[int, ...]

    @classmethod
    def of(cls, where: str, relation: Relation, columns: Sequence[str], key: Sequence[str]) -> Shape:
        """How a relation's tuples are read.

        Raises:
            CatalogMismatch: it lacks a declared column, or does not tell which row was deleted.
        """
        if missing := [name for name in columns if name not in relation.columns]:
            raise CatalogMismatch(
                f"{where}: the log has no column {', '.join(missing)}: dropped or renamed at the source, or generated",
                hint="Run `drivetrain catalog check`; a generated column cannot be captured: leave it out, or"
                " take `capture` from the table.",
            )
        if not set(key) <= set(relation.key) and relation.identity != "f":
            raise CatalogMismatch(
                f"{where}: its replica identity does not tell the key ({', '.join(key)})",
                hint="At the source: ALTER TABLE ... REPLICA IDENTITY DEFAULT (its primary key), USING INDEX or FULL.",
            )
        places = {name: place for place, name in enumerate(relation.columns)}
        return cls(tuple(places[name] for name in columns), tuple(list(columns).index(name) for name in key))

    def declared(self, row: Row) -> Row:
        """A tuple's values of the declared columns."""
        return tuple([row[place] for place in self.places])

    def key_of(self, values: Row, other: Row | None = None) -> Key:
        """Of declared values; what is too large to be said again is that of ``other``."""
        found: list[bytes] = []
        for place in self.key:
            value = values[place]
            if value is UNCHANGED and other is not None:
                value = other[place]
            if not isinstance(value, bytes):
                raise ValueError("a key without a value")
            found.append(value)
        return tuple(found)


@dataclass
class Net:
    """The net effect on one table; ``None``: the row is gone.

    Attributes:
        changes: that were folded.
        emptied: the table was truncated: only a comparison says what is left.
    """

    rows: dict[Key, Changed | None] = field(default_factory=dict[Key, "Changed | None"])
    changes: int = 0
    emptied: bool = False

    def fold(self, change: Insert | Update | Delete, shape: Shape) -> None:
        """Take one more change."""
        self.changes += 1
        match change:
            case Insert(new=new):
                values = shape.declared(new)
                self.rows[shape.key_of(values)] = Changed(values)
            case Delete(old=old):
                self.rows[shape.key_of(shape.declared(old))] = None
            case Update(old=old, new=new):
                values = shape.declared(new)
                before = None if old is None else shape.declared(old)
                key = shape.key_of(values, before)
                former = key if before is None else shape.key_of(before)
                self.rows[key] = self._completed(values, key, former, shape)
                if former != key:
                    self.rows[former] = None

    def _completed(self, values: Row, key: Key, former: Key, shape: Shape) -> Changed:
        if not any(value is UNCHANGED for value in values):
            return Changed(values)
        full: list[Value] = list(values)
        for place, value in zip(shape.key, key, strict=True):
            full[place] = value
        earlier = self.rows.get(former)
        if earlier is None:
            return Changed(tuple(full), former if UNCHANGED in full else None)
        full = [old if value is UNCHANGED else value for value, old in zip(full, earlier.values, strict=True)]
        return Changed(tuple(full), earlier.base if UNCHANGED in full else None)
