"""Into what a partition is split: pieces by remainder of a hash or by range of time, that together take every row."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from psycopg import sql


@dataclass(frozen=True)
class HashPiece:
    """Rows of one remainder of a modulus."""

    name: str
    modulus: int
    remainder: int
    rest = False

    def bound(self) -> sql.Composable:
        """As ATTACH PARTITION takes it."""
        return sql.SQL("FOR VALUES WITH (MODULUS {}, REMAINDER {})").format(
            sql.Literal(self.modulus), sql.Literal(self.remainder)
        )

    def holds(self, parent: sql.Identifier, column: sql.Composable) -> sql.Composable:
        """Whether a row belongs here: PostgreSQL's own partition constraint, by which ATTACH knows it for proven.

        The parent is named, not numbered: a database restored from a dump has other OIDs.
        """
        return sql.SQL("satisfies_hash_partition({}::regclass, {}, {}, {})").format(
            sql.Literal(parent.as_string(None)), sql.Literal(self.modulus), sql.Literal(self.remainder), column
        )

    def as_json(self) -> dict[str, Any]:
        """To be kept until the split is done."""
        return {"name": self.name, "modulus": self.modulus, "remainder": self.remainder}


@dataclass(frozen=True)
class RangePiece:
    """Rows of one range of time, as bounds are written for the key's type; an end that is None is open."""

    name: str
    start: str | None
    end: str | None

    @property
    def rest(self) -> bool:
        """Whether it is there only for rows of times that no other piece has."""
        return self.start is None or self.end is None

    def bound(self) -> sql.Composable:
        """As ATTACH PARTITION takes it."""
        start = sql.SQL("MINVALUE") if self.start is None else sql.Literal(self.start)
        end = sql.SQL("MAXVALUE") if self.end is None else sql.Literal(self.end)
        return sql.SQL("FOR VALUES FROM ({}) TO ({})").format(start, end)

    def holds(self, parent: sql.Identifier, column: sql.Composable) -> sql.Composable:  # noqa: ARG002
        """Whether a row belongs here."""
        return sql.SQL("{} IS NOT NULL AND {}").format(column, within(self.start, self.end, column))

    def as_json(self) -> dict[str, Any]:
        """To be kept until the split is done."""
        return {"name": self.name, "start": self.start, "end": self.end}


@dataclass(frozen=True)
class DefaultPiece:
    """Rows that no range has: of no time, of an infinite one, or of one that nobody expected.

    Attributes:
        ranges: of all other partitions, those that were there and those that the split makes.
    """

    name: str
    ranges: tuple[tuple[str | None, str | None], ...]
    rest = True

    def bound(self) -> sql.Composable:
        """As ATTACH PARTITION takes it."""
        return sql.SQL("DEFAULT")

    def holds(self, parent: sql.Identifier, column: sql.Composable) -> sql.Composable:  # noqa: ARG002
        """Whether a row belongs here: PostgreSQL's own constraint of a default partition."""
        if not self.ranges:
            return sql.SQL("true")
        ranges = sql.SQL(" OR ").join(sql.SQL("({})").format(within(*each, column)) for each in self.ranges)
        return sql.SQL("NOT ({} IS NOT NULL AND ({}))").format(column, ranges)

    def as_json(self) -> dict[str, Any]:
        """To be kept until the split is done."""
        return {"name": self.name, "ranges": self.ranges}


Part = HashPiece | RangePiece | DefaultPiece


def within(start: str | None, end: str | None, column: sql.Composable) -> sql.Composable:
    """Whether a time, which is not NULL, is in a range; an end that is None is open."""
    sides = ((sql.SQL("{} >= {}"), start), (sql.SQL("{} < {}"), end))
    given = [side.format(column, sql.Literal(value)) for side, value in sides if value is not None]
    return sql.SQL(" AND ").join(given) if given else sql.SQL("true")


@dataclass(frozen=True)
class Successor:
    """A partitioned table that takes the place of a plain one, with the partitions that it begins with.

    One by range has a default partition besides until it is in place: rows may come of times that nobody expects.
    """

    name: str
    parts: tuple[Part, ...]
    rest = False

    @property
    def by_range(self) -> bool:
        """By range, else by hash."""
        return isinstance(self.parts[0], RangePiece)

    def holds(self, parent: sql.Identifier, column: sql.Composable) -> sql.Composable:  # noqa: ARG002
        """Every row belongs here."""
        return sql.SQL("true")

    def as_json(self) -> dict[str, Any]:
        """To be kept until the conversion is done."""
        return {"name": self.name, "parts": [part.as_json() for part in self.parts]}


Piece = Part | Successor


def from_json(content: dict[str, Any]) -> Piece:
    """What ``as_json`` gave."""
    if "parts" in content:
        return Successor(content["name"], tuple(_part(part) for part in content["parts"]))
    return _part(content)


def _part(content: dict[str, Any]) -> Part:
    if "ranges" in content:
        return DefaultPiece(content["name"], tuple((start, end) for start, end in content["ranges"]))
    return HashPiece(**content) if "modulus" in content else RangePiece(**content)


def halves(table: str, pattern: str, modulus: int, remainder: int, goal: int) -> list[HashPiece]:
    """The remainders of ``goal`` that a remainder of ``modulus`` falls into.

    Args:
        table: name of the parent.
        pattern: of a partition's name, with ``{remainder}``.
        modulus, remainder: of the partition that is split.
        goal: a multiple of ``modulus``.
    """
    return [
        HashPiece(pattern.format(table=table, remainder=each, modulus=goal), goal, each)
        for each in range(remainder, goal, modulus)
    ]


def utc_text(moment: dt.datetime, *, zoned: bool, dated: bool) -> str:
    """A bound as it is written for the type of the key column, in UTC whatever the session's zone is."""
    moment = moment.astimezone(dt.UTC)
    if dated:
        return moment.date().isoformat()
    return moment.replace(tzinfo=None).isoformat(sep=" ") + ("+00" if zoned else "")
