"""Who the persons of a database are, and how its tables lead to them: guesses for a draft, from names and foreign keys.

Pure: live tables in, guesses out. What does not belong here: writing YAML (``draft``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warehouse.postgres import guesses
from warehouse.postgres.introspection import LiveColumn, LiveForeignKey, LiveTable
from warehouse.postgres.matching import alike

#: Which guessed kinds an officer can find a person by, and what the policy calls them; the best first.
_IDENTIFYING = {"email": "email", "phone": "phone", "username": "username", "government_id": "government_id"}


@dataclass(frozen=True)
class Drafted:
    """A table on its way into a draft: the catalog's name for it, what can be declared, and why the rest cannot."""

    name: str
    live: LiveTable
    columns: Mapping[str, LiveColumn]
    key: tuple[str, ...]
    reasons: Mapping[str, str | None]


@dataclass(frozen=True)
class PersonGuess:
    """The table that seems to list the persons, its key, and by what they can be found."""

    table: str
    key: str
    identifiers: Mapping[str, str]
    reason: str


@dataclass(frozen=True)
class Way:
    """A guessed subject: the column it starts from, its text in the policy, and why."""

    column: str
    text: str
    reason: str


def guess_person(tables: Sequence[Drafted]) -> PersonGuess | None:
    """The most likely table of persons; None where no table is likely enough.

    It has a key of one column and either a name like ``users``, or is what most tables reference and has an email
    address or a telephone number.
    """
    references: dict[tuple[str, str], int] = {}
    for drafted in tables:
        for target in {(key.schema, key.table) for key in drafted.live.foreign_keys}:
            if target != (drafted.live.schema, drafted.live.name):
                references[target] = references.get(target, 0) + 1
    most = max(references.values(), default=0)
    best: tuple[tuple[bool, bool, int, str], PersonGuess] | None = None
    for drafted in tables:
        if len(drafted.key) != 1:
            continue
        identifiers = _identifiers(drafted)
        reachable = bool({"email", "phone"} & set(identifiers.values()))
        named = guesses.is_person_table(drafted.live.name)
        referenced = references.get((drafted.live.schema, drafted.live.name), 0)
        if not (named and (identifiers or referenced)) and not (reachable and referenced == most > 0):
            continue
        score = (reachable, named, referenced, drafted.name)
        if best is None or score > best[0]:
            why = [*(["its name"] if named else []), *(["an email or phone column"] if reachable else [])]
            if referenced:
                why.append(
                    "a table that references it" if referenced == 1 else f"{referenced} tables that reference it"
                )
            reason = f"{', '.join(why[:-1])} and {why[-1]}" if len(why) > 1 else why[0]
            named_by = identifiers or {drafted.key[0]: "external_id"}
            best = (score, PersonGuess(drafted.name, drafted.key[0], named_by, reason))
    return None if best is None else best[1]


def guess_ways(tables: Sequence[Drafted], person: PersonGuess | None) -> dict[str, tuple[Way, ...]]:
    """Subjects by table name, along foreign keys of one column: breadth first, so that each way is a shortest one."""
    if person is None:
        return {}
    by_source = {(drafted.live.schema, drafted.live.name): drafted for drafted in tables}
    found = {person.table: (Way(person.key, person.key, "the table of persons"),)}
    reached = {person.table}
    while reached:
        further: dict[str, tuple[Way, ...]] = {}
        for drafted in tables:
            if drafted.name in found:
                continue
            ways = {
                way.text: way
                for key in drafted.live.foreign_keys
                if (target := by_source.get((key.schema, key.table))) is not None and target.name in reached
                if (way := _way(drafted, key, target, person)) is not None
            }
            if ways:
                further[drafted.name] = tuple(ways.values())
        found |= further
        reached = set(further)
    return found


def _way(drafted: Drafted, key: LiveForeignKey, target: Drafted, person: PersonGuess) -> Way | None:
    """The way that a foreign key opens; None where a policy cannot say it."""
    if len(key.columns) != 1:
        return None
    start, end = drafted.columns.get(key.columns[0]), target.columns.get(key.referenced[0])
    if start is None or end is None or not alike(start, end):
        return None
    reason = "by a foreign key"
    if target.name == person.table and end.name == person.key:
        return Way(start.name, start.name, reason)
    to = "" if target.key == (end.name,) else f".{end.name}"
    return Way(start.name, f"{start.name} -> {target.name}{to}", reason)


def _identifiers(drafted: Drafted) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, called in _IDENTIFYING.items():
        for name, column in drafted.columns.items():
            if not column.type.array and guesses.personal_kind(drafted.live.name, column) == kind:
                found.setdefault(name, called)
    return found
