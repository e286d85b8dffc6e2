"""Find persons by what they are known by, in the operational database and in the warehouse.

A person may be gone from the one and be in the other still, or have had another address when the warehouse read it. All
who match are returned, with what matched and how well; which of them is meant, an officer says. What does not belong
here: reading and masking an identifier (``identifiers``), and the rows of a person (``scope``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from psycopg import sql

from warehouse.catalog.model import IdentifierKind, System
from warehouse.erasure.identifiers import KINDS, SHORTEST_END, Identifier, mask
from warehouse.errors import CatalogMismatch, TooLarge
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, translated

Place = Literal["operational", "warehouse"]
#: How well: to the letter, but for its spelling, or only by the last digits of a telephone number.
How = Literal["same", "alike", "end"]
#: More persons than these are no answer.
MOST = 100

_FOLDED = sql.SQL(r"lower(normalize(btrim({}, E' \t\r\n\u00a0'), NFC))")
_BARE = sql.SQL("lower(regexp_replace(normalize({}, NFC), '[^[:alnum:]]', '', 'g'))")
_PLAIN = sql.SQL("CASE WHEN {stored} = {text} THEN 'same' WHEN {stored_folded} = {folded} THEN 'alike' END")
_PHONE = sql.SQL(
    "CASE WHEN {stored} = {text} THEN 'same' WHEN {digits} = {asked} THEN 'alike'"
    " WHEN NOT {international} AND right({digits}, length(ltrim({asked}, '0'))) = ltrim({asked}, '0')"
    r" OR {stored} !~ '^\s*\+' AND length(ltrim({digits}, '0')) >= {shortest}"
    " AND right({asked}, length(ltrim({digits}, '0'))) = ltrim({digits}, '0') THEN 'end' END"
)
_FIND = sql.SQL(
    "SELECT * FROM (SELECT {columns}, ARRAY[{how}]::text[] AS how FROM {table}) AS found"
    " WHERE num_nonnulls(VARIADIC how) > 0 LIMIT %(most)s"
)


@dataclass(frozen=True)
class Hit:
    """One identifier that led to a person: by which column, how well, and where."""

    column: str
    kind: IdentifierKind
    how: How
    place: Place


@dataclass(frozen=True)
class Match:
    """One person whom some of the identifiers lead to; shows nothing by which anybody is known.

    Attributes:
        key: in the system's person table, as the server prints it.
        since: when the account was made, as the server prints it; None if the system does not say.
        region: where the person's data belong; None if the system does not say.
        shown: every identifier of the person by column, masked; without empty ones.
    """

    system: str
    key: str = field(repr=False)
    since: str | None
    region: str | None
    shown: Mapping[str, str] = field(repr=False)
    hits: tuple[Hit, ...]

    @property
    def kinds(self) -> frozenset[IdentifierKind]:
        """Which kinds of identifiers matched."""
        return frozenset(hit.kind for hit in self.hits)

    @property
    def places(self) -> tuple[Place, ...]:
        """Where the person was found."""
        return tuple(sorted({hit.place for hit in self.hits}))


def unasked_kinds(system: System, identifiers: Iterable[Identifier]) -> list[IdentifierKind]:
    """Kinds of identifiers that a system has no column for: by them nobody is found there."""
    known = set(system.person.identifiers.values()) if system.person else set[IdentifierKind]()
    given = {each.kind for each in identifiers}
    return [kind for kind in KINDS if kind in given - known]


def find_persons(
    connection: Connection, system: System, identifiers: Sequence[Identifier], place: Place
) -> list[Match] | None:
    """Everybody whom at least one of the identifiers leads to, the best matched first.

    Args:
        connection: to the system's operational database, seeing all rows; or to the warehouse.
        system: whose catalog says by what its persons are found.
        identifiers: any number, of any kinds.
        place: which of the two it is.

    Returns:
        None if there is no such table to ask: the warehouse never read it.

    Raises:
        CatalogMismatch: the operational database has no such table.
        TooLarge: more than ``MOST`` persons.
    """
    person = system.person
    if person is None:
        return []
    asked = [(each, name) for each in identifiers for name, kind in person.identifiers.items() if kind == each.kind]
    if not asked:
        return []
    where = system.source_of(person.table) if place == "operational" else (system.raw_schema, person.table)
    table = sql.Identifier(*where)
    columns = [person.key, person.since, person.region, *person.identifiers]
    read = [sql.SQL("{}::text").format(sql.Identifier(name)) if name else sql.SQL("NULL") for name in columns]
    query = _FIND.format(
        columns=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(one, sql.Identifier(f"c{n}")) for n, one in enumerate(read)
        ),
        how=sql.SQL(", ").join(_how(each, name, f"v{n}") for n, (each, name) in enumerate(asked)),
        table=table,
    )
    # As parameters: no view of running statements, no log and no statistics shows them.
    values = {f"v{n}{part}": value for n, (each, _) in enumerate(asked) for part, value in _parameters(each).items()}
    with translated(f"{system.system}.{person.table} ({place})"):
        if not is_there(connection, table):
            if place == "warehouse":
                return None
            raise CatalogMismatch(
                f"{system.system}: its database has no table {'.'.join(where)}", hint="Run `drivetrain catalog check`."
            )
        rows = connection.execute(query, {**values, "most": MOST + 1}).fetchall()
    if len(rows) > MOST:
        raise TooLarge(
            f"{system.system}: these identifiers lead to more than {MOST} persons ({place})",
            hint="Give whole ones: a telephone number with + and its country, a mail address.",
        )
    found: list[Match] = []
    for key, since, region, *values, hows in rows:
        shown = {
            column: mask(kind, value)
            for (column, kind), value in zip(person.identifiers.items(), values, strict=True)
            if value
        }
        hits = tuple(
            Hit(column, each.kind, cast("How", one), place)
            for (each, column), one in zip(asked, hows, strict=True)
            if one is not None
        )
        found.append(Match(system.system, key, since, region, shown, hits))
    return merged(found)


def merged(matches: Iterable[Match]) -> list[Match]:
    """One match per person, with all that led there, the best matched first.

    Of a person who is in both places, what the first one says of account and identifiers is shown.
    """
    persons: dict[tuple[str, str], Match] = {}
    for match in matches:
        known = persons.get((match.system, match.key))
        if known is None:
            persons[match.system, match.key] = match
        else:
            hits = tuple(dict.fromkeys((*known.hits, *match.hits)))
            persons[match.system, match.key] = Match(
                known.system, known.key, known.since, known.region, known.shown, hits
            )
    return sorted(persons.values(), key=_rank)


def _rank(match: Match) -> tuple[object, ...]:
    best = {kind: min(_WELL.index(hit.how) for hit in match.hits if hit.kind == kind) for kind in match.kinds}
    return match.system, -len(best), sum(best.values()), match.since or "", match.key


_WELL: tuple[How, ...] = ("same", "alike", "end")


def _how(identifier: Identifier, column: str, name: str) -> sql.Composed:
    """An expression: how well a column's value matches, NULL if it does not."""
    stored = sql.SQL("{}::text").format(sql.Identifier(column))
    text, digits = (sql.SQL("{}::text").format(sql.Placeholder(name + part)) for part in ("", "_digits"))
    if identifier.kind == "phone":
        return _PHONE.format(
            stored=stored,
            text=text,
            digits=sql.SQL("regexp_replace({}, '[^0-9]', '', 'g')").format(stored),
            asked=digits,
            international=sql.Literal(identifier.international),
            shortest=sql.Literal(SHORTEST_END),
        )
    form = _BARE if identifier.kind == "government_id" else _FOLDED
    return _PLAIN.format(stored=stored, text=text, stored_folded=form.format(stored), folded=form.format(text))


def _parameters(identifier: Identifier) -> dict[str, str]:
    return {"": identifier.text} | ({"_digits": identifier.digits} if identifier.kind == "phone" else {})
