"""Who must be nowhere, and by what each table would give them away: the ways to a person, as the proof reads the
catalog.

It is told the persons' keys and the values that rows on the way had, which may be gone by now. What the catalog makes
of them it works out by itself, so that a table which the erasure forgot is looked at all the same.

What does not belong here: looking (``absence_sql``, ``absence_lake``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from warehouse.catalog.model import Subject, System, Table

#: Kinds of columns in which people write of others: what is found there, somebody has to read.
FREE = frozenset({"free_text", "profile"})
#: Kinds that tell one person from all others; a name or an address does not.
TELLING = frozenset({
    "email", "phone", "username", "external_id", "government_id", "vehicle_id", "bank_account", "device", "credential",
    "person_id",
})  # fmt: skip


@dataclass(frozen=True)
class Known:
    """Something by which a person is known: a mail address, a telephone number, a name ...

    Attributes:
        kind: of personal data, as the catalog calls it.
        text: as it was written down.
    """

    kind: str
    text: str = field(repr=False)

    @property
    def telling(self) -> bool:
        """Whether nobody else is known by it."""
        return self.kind in TELLING


@dataclass(frozen=True)
class Sought:
    """The erased persons of one system.

    Attributes:
        system: whose catalog says the ways.
        persons: their keys, as text.
        values: by table and subject column of it, what led to them, as text; rows on the way may be gone.
        pseudonyms: what became of a key where a law keeps the rows, as far as that is known still.
        known: what they were known by.
    """

    system: System
    persons: Set[str] = field(repr=False)
    values: Mapping[str, Mapping[str, Set[str]]] = field(repr=False, default_factory=dict[str, Mapping[str, Set[str]]])
    pseudonyms: Mapping[str, str] = field(repr=False, default_factory=dict[str, str])
    known: Sequence[Known] = field(repr=False, default=())


@dataclass(frozen=True)
class Way:
    """By it a row gives a person away: a column has one of some values, and one of those named, if any, is filled."""

    column: str
    values: Set[str] = field(repr=False)
    filled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """What must not be in one relation.

    Attributes:
        ways: rows that give a person away.
        kept: rows that the policy exempts: they are counted.
        subjects: columns that say whose a row is.
        key: columns that identify a row.
        free: columns in which people write of others.
        of_nobody: by its policy the table is about no person.
    """

    ways: tuple[Way, ...] = ()
    kept: tuple[Way, ...] = ()
    subjects: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    free: frozenset[str] = frozenset()
    of_nobody: bool = False

    def within(self, columns: Iterable[str]) -> Rule:
        """For a relation that has some of the columns only: what it lacks gives nobody away."""
        there = set(columns)

        def left(ways: Sequence[Way]) -> tuple[Way, ...]:
            found: list[Way] = []
            for way in ways:
                filled = tuple(each for each in way.filled if each in there)
                if way.column in there and (filled or not way.filled):
                    found.append(Way(way.column, way.values, filled))
            return tuple(found)

        return Rule(
            left(self.ways), left(self.kept), tuple(each for each in self.subjects if each in there),
            tuple(each for each in self.key if each in there), self.free & there, self.of_nobody,
        )  # fmt: skip

    @property
    def forbidden(self) -> dict[str, Set[str]]:
        """Values that must not occur in a column at all."""
        found: dict[str, Set[str]] = {}
        for way in self.ways:
            if not way.filled:
                found[way.column] = found.get(way.column, frozenset()) | way.values
        return found


class Ways:
    """The ways to the persons of one system. What is found on the way is learnt, and leads on."""

    def __init__(self, sought: Sought) -> None:
        self.system = sought.system
        self._pseudonyms = frozenset(sought.pseudonyms.values())
        self._values: dict[tuple[str, str], Set[str]] = {}
        person = self.system.person
        if person is not None:
            self._values[person.table, person.key] = frozenset(sought.persons)
        for table, by_column in sought.values.items():
            for subject in self._subjects(table):
                if subject.column in by_column:
                    self.learn(*self._target(subject), by_column[subject.column])

    def learn(self, table: str, column: str, values: Set[str]) -> bool:
        """Note more values of rows on the way; whether any is new."""
        known = self._values.get((table, column), frozenset())
        self._values[table, column] = known | values
        return not values <= known

    @property
    def named(self) -> set[str]:
        """Every name of a column by which some table's rows are somebody's."""
        return {each.column for name in self.system.tables for each in self._subjects(name)}

    def leading(self, table: str) -> list[str]:
        """Columns of a table by whose values other tables' rows are somebody's."""
        targets = {self._target(each) for name in self.system.tables for each in self._subjects(name)}
        return sorted(column for name, column in targets if name == table)

    def rule(self, name: str) -> Rule:
        """Of a declared table."""
        table = self.system.tables[name]
        action = table.erasure.action
        ways: list[Way] = []
        for subject in table.subjects:
            values = self._values.get(self._target(subject), frozenset())
            own = _own(table, subject)
            direct = self._target(subject) == self._person
            if action in ("delete", "undecided", "exempt") or direct or subject.column in own:
                ways.append(Way(subject.column, values))
            elif own:
                ways.append(Way(subject.column, values, own))
            rest = tuple(each for each in own if each != subject.column)
            if action in ("redact", "pseudonymise") and direct and rest and self._pseudonyms:
                ways.append(Way(subject.column, self._pseudonyms, rest))
        found = tuple(way for way in ways if way.values and action != "no_person")
        exempt = action == "exempt"
        return Rule(
            ways=() if exempt else found,
            kept=found if exempt else (),
            subjects=tuple(dict.fromkeys(each.column for each in table.subjects)),
            key=table.key,
            free=_free(table),
            of_nobody=action == "no_person",
        )

    def rule_of_copy(self, relation: str, columns: Set[str]) -> Rule | None:
        """Of a relation that nobody declared: that of the table whose columns it has; None if it is like none.

        Two tables may have the same columns: what either forbids is forbidden.
        """
        alike = [name for name in self.system.tables if self._is_copy(name, relation, columns)]
        if not alike:
            return None
        rules = [self.rule(name).within(columns) for name in alike]
        merged: dict[tuple[str, tuple[str, ...]], Set[str]] = {}
        for way in (way for rule in rules for way in rule.ways):
            merged[way.column, way.filled] = merged.get((way.column, way.filled), frozenset()) | way.values
        ways = tuple(Way(column, values, filled) for (column, filled), values in merged.items())
        first = rules[0]
        return Rule(ways, (), first.subjects, first.key, first.free)

    def rule_of_names(self, columns: Set[str], persons: Set[str] = frozenset()) -> Rule:
        """Of a relation that is like no table: its columns that are named as those by which rows are somebody's.

        Args:
            columns: of the relation.
            persons: those of them that are known to hold persons' keys.
        """
        ways = {column: self._values.get(self._person, frozenset()) for column in persons & columns}
        for name, table in self.system.tables.items():
            for subject in table.subjects:
                target = self._target(subject)
                itself = target == (name, subject.column)
                gone = target == self._person or self.system.tables[target[0]].erasure.action == "delete"
                if gone and not itself and subject.column in columns:
                    values = self._values.get(target, frozenset())
                    ways[subject.column] = ways.get(subject.column, frozenset()) | values
        return Rule(
            tuple(Way(column, values) for column, values in sorted(ways.items()) if values),
            subjects=tuple(sorted(ways)),
            key=tuple(sorted(columns & {"id"})),
        )

    @property
    def _person(self) -> tuple[str, str]:
        person = self.system.person
        return (person.table, person.key) if person is not None else ("", "")

    def _subjects(self, table: str) -> Sequence[Subject]:
        return self.system.tables[table].subjects if table in self.system.tables else ()

    def _target(self, subject: Subject) -> tuple[str, str]:
        if subject.table is None:
            return self._person
        return subject.table, subject.to or self.system.tables[subject.table].key[0]

    def _is_copy(self, name: str, relation: str, columns: Set[str]) -> bool:
        table = self.system.tables[name]
        shared = columns & set(table.columns)
        if not {each.column for each in table.subjects} & shared:
            return False
        if shared == columns == set(table.columns):
            return True
        # A few columns of those names are no copy yet: `id` and `name` are in many tables.
        identifying = {n for n, c in table.columns.items() if c.personal in ("email", "phone", "government_id")}
        named = name in relation or name.removesuffix("s") in relation
        return len(shared) >= max(2, 0.6 * len(columns)) and (named or bool(identifying & shared))


def _own(table: Table, subject: Subject) -> tuple[str, ...]:
    """Personal columns of the person whom a subject column names: which must be empty where the row stays."""
    subjects = {each.column for each in table.subjects}
    own: list[str] = []
    for name, column in table.columns.items():
        if column.personal is None:
            continue
        whose = column.whose or (name if name in subjects else subject.column if len(subjects) == 1 else None)
        if whose == subject.column:
            own.append(name)
    return tuple(own)


def _free(table: Table) -> frozenset[str]:
    return frozenset(
        name
        for name, column in table.columns.items()
        if column.personal in FREE or column.type.removesuffix("[]") in ("json", "jsonb")
    )
