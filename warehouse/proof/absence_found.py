"""What is found of erased persons, told without a value of theirs: by store, place, kind and count.

What does not belong here: looking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from warehouse.proof.absence_words import Words

Store = Literal["operational", "warehouse", "lake", "dagster"]
#: row: a row that is there to be read. bytes: a value that no row has any more. statistics: of a table, a file or a
#: page. log: of the lake's tables, of Dagster's runs, of statements. version: an object's earlier one. mention: what
#: somebody else's row says; a person has to read it. kept: rows that the policy exempts.
Kind = Literal["row", "bytes", "statistics", "log", "version", "mention", "kept"]
#: Of so many rows with a mention the keys are told.
MOST_KEYS = 100


@dataclass(frozen=True)
class Residue:
    """Something of a person at one place.

    Attributes:
        store: where.
        system: whose; empty where it is of none.
        place: relation, object or table; nothing of a person's is in it.
        column: empty if it is of no single one.
        kind: see there.
        count: rows, or values.
        reopens: whether the request is not done while it is there.
        keys: of rows with a mention, at most ``MOST_KEYS``.
    """

    store: Store
    system: str
    place: str
    column: str
    kind: Kind
    count: int
    reopens: bool
    keys: tuple[tuple[str, ...], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Looked:
    """How much was looked at in one store."""

    places: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Absence:
    """What a verification found.

    Attributes:
        residues: nothing of which reopens, if the persons are gone.
        unseen: what could not be looked at, and why.
        limits: what this role sees a part of only, and what is a session's own; it does not stand in the way.
        undeclared: relations and folders that no catalog declares; they were looked at.
        looked: by store.
        skipped: files that by their path cannot hold the persons, and were not read.
        left_out: how many things that persons are known by are too short to be looked for.
    """

    residues: tuple[Residue, ...]
    unseen: tuple[str, ...]
    limits: tuple[str, ...]
    undeclared: tuple[str, ...]
    looked: dict[Store, Looked]
    skipped: int = 0
    left_out: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing reopens the request, and everything was looked at."""
        return not self.unseen and not any(each.reopens for each in self.residues)

    @property
    def mentions(self) -> tuple[Residue, ...]:
        """What somebody has to read."""
        return tuple(each for each in self.residues if each.kind == "mention")


_Place = tuple[Store, str, str, str, Kind, bool]


class Findings:
    """Gathers what is found, place by place; names that tell of a person are withheld."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.unseen: list[str] = []
        self.limits: list[str] = []
        self.undeclared: list[str] = []
        self.skipped = 0
        self._counts: Counter[_Place] = Counter()
        self._keys: dict[_Place, list[tuple[str, ...]]] = {}
        self._looked: dict[Store, Counter[str]] = {}

    def add(
        self, store: Store, system: str, place: str, kind: Kind, count: int, *, column: str = "",
        reopens: bool | None = None, keys: Iterable[tuple[str, ...]] = (),
    ) -> None:  # fmt: skip
        """Note something; what reopens follows from its kind if it is not said."""
        if not count:
            return
        if reopens is None:
            reopens = kind not in ("mention", "kept")
        found = (store, system, self.safe(place), column, kind, reopens)
        self._counts[found] += count
        told = self._keys.setdefault(found, [])
        for key in keys:
            if len(told) < MOST_KEYS and not self.words.find(" ".join(key)):
                told.append(key)

    def note(self, store: Store, *, places: int = 0, rows: int = 0, size: int = 0) -> None:
        """How much was looked at."""
        self._looked.setdefault(store, Counter()).update(places=places, rows=rows, bytes=size)

    def blind(self, what: str) -> None:
        """Something could not be looked at."""
        self.unseen.append(self.safe(what))

    def limit(self, what: str) -> None:
        """Something that this role does not see all of."""
        self.limits.append(self.safe(what))

    def unknown(self, what: str) -> None:
        """Something that nobody declared."""
        self.undeclared.append(self.safe(what))

    def safe(self, place: str) -> str:
        """A place's name, without what a person is known by."""
        return "/".join("(a name that tells of a person)" if self._tells(part) else part for part in place.split("/"))

    def _tells(self, name: str) -> bool:
        """Whether a file's or a table's name does, with what follows a point or without."""
        stem = name.partition(" ")[0]
        return bool(self.words) and any(
            self.words.find(each) for each in (name, stem.rsplit(".", 1)[0], stem.rsplit(".", 2)[0])
        )

    def absence(self) -> Absence:
        """All of it."""
        residues = [
            Residue(store, system, place, column, kind, count, reopens, tuple(self._keys.get(found, ())))
            for found, count in sorted(self._counts.items())
            for store, system, place, column, kind, reopens in [found]
        ]
        looked: dict[Store, Looked] = {
            store: Looked(n["places"], n["rows"], n["bytes"]) for store, n in self._looked.items()
        }
        return Absence(
            tuple(residues), tuple(dict.fromkeys(self.unseen)), tuple(dict.fromkeys(self.limits)),
            tuple(sorted(set(self.undeclared))), looked, self.skipped, self.words.left_out,
        )  # fmt: skip
