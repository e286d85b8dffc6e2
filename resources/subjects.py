"""Find a person in every system, with the databases that the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from resources.settings import Settings
from warehouse.catalog import Catalog
from warehouse.catalog.model import IdentifierKind, System
from warehouse.erasure.identifiers import Identifier
from warehouse.erasure.persons import Match, Place, find_persons, merged, unasked_kinds
from warehouse.errors import ConfigurationError, DrivetrainError
from warehouse.postgres.sessions import Connection, connect


@dataclass(frozen=True)
class Answer:
    """What a system says.

    Attributes:
        unasked: kinds of the identifiers that it has no column for.
        unread: the warehouse has no copy of its persons.
        failures: places that could not be asked: who is only there was not found.
    """

    system: str
    matches: tuple[Match, ...]
    unasked: tuple[IdentifierKind, ...]
    unread: bool
    failures: tuple[tuple[Place, DrivetrainError], ...]


def systems_with_persons(catalog: Catalog, asked: Sequence[str] = ()) -> list[System]:
    """The systems to look in.

    Raises:
        ConfigurationError: there is no such system, or it knows no persons.
    """
    known = {name: system for name, system in catalog.systems.items() if system.person is not None}
    for name in asked:
        if name not in known:
            why = "it knows no persons" if name in catalog.systems else "it is not in the catalog"
            raise ConfigurationError(
                f"nobody can be looked for in {name!r}: {why}", hint=f"There are: {', '.join(known) or 'none'}"
            )
    return [system for name, system in known.items() if not asked or name in asked]


def find_subjects(settings: Settings, systems: Sequence[System], identifiers: Sequence[Identifier]) -> list[Answer]:
    """Ask every system's operational database, and the warehouse. What cannot be asked is its own failure.

    Raises:
        ConfigurationError: there is nothing to look for, or none of the systems knows such identifiers.
    """
    if not identifiers:
        raise ConfigurationError("nothing to look for", hint="Give at least one identifier, e.g. --email.")
    kinds = {each.kind for each in identifiers}
    if all(set(unasked_kinds(system, identifiers)) == kinds for system in systems):
        raise ConfigurationError(
            f"no person of {', '.join(system.system for system in systems)} is known by {' or '.join(sorted(kinds))}",
            hint="The catalog says by what: person.identifiers.",
        )
    return [_ask(settings, system, identifiers) for system in systems]


def _ask(settings: Settings, system: System, identifiers: Sequence[Identifier]) -> Answer:
    found: list[Match] = []
    unread = False
    failures: list[tuple[Place, DrivetrainError]] = []
    places: tuple[Place, ...] = ("operational", "warehouse")
    for place in places:
        try:
            with _session(settings, system, place) as connection:
                matches = find_persons(connection, system, identifiers, place)
            unread = unread or matches is None
            found += matches or []
        except DrivetrainError as error:
            failures.append((place, error))
    unasked = tuple(unasked_kinds(system, identifiers))
    return Answer(system.system, tuple(merged(found)), unasked, unread, tuple(failures))


def _session(settings: Settings, system: System, place: Place) -> AbstractContextManager[Connection]:
    """The primary, not a replica that may lag behind."""
    if place == "operational":
        return connect(settings.primary(system.system), read_only=True, see_all_rows=True)
    return connect(settings.warehouse(), read_only=True)
