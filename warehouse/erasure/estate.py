"""Every store that a request reaches, and what a request keeps to itself until it is over.

What does not belong here: what is done to the stores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from warehouse.catalog import Catalog
from warehouse.erasure.identifiers import Identifier
from warehouse.erasure.keys import Keys
from warehouse.erasure.scope import Scope
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn
from warehouse.state.tiered import Places


@dataclass(frozen=True)
class Estate:
    """Where everything is.

    Attributes:
        sources: operational databases by system, for a member of their tables' owner.
        warehouse: the warehouse, as the platform.
        lake: root of the cold tier.
        objects: root of the buckets of documents and media.
        keys: what identifiers and scopes are sealed with.
    """

    catalog: Catalog
    sources: Mapping[str, Dsn]
    warehouse: Dsn
    lake: Store
    objects: Store
    keys: Keys = field(repr=False)

    def places(self, system: str) -> Places:
        """Of one system."""
        return Places(self.sources[system], self.warehouse, self.lake)

    def person_digest(self, system: str, key: str) -> bytes:
        """By which a person is noted: keyed, so that nobody can try keys one after the other."""
        return self.keys.digest(f"person of {system}", key)

    def seal_identifiers(self, identifiers: list[Identifier]) -> bytes:
        """What a person is looked for by, for the request's record."""
        return self.keys.seal(json.dumps([[each.kind, each.text] for each in identifiers]).encode(), b"identifiers")

    def open_identifiers(self, sealed: bytes) -> list[Identifier]:
        """What ``seal_identifiers`` sealed.

        Raises:
            ConfigurationError: the key file lacks the key.
            Tampered: somebody changed it.
        """
        return [Identifier(kind, text) for kind, text in json.loads(self.keys.open(sealed, b"identifiers"))]


@dataclass(frozen=True)
class Kept:
    """Of one system: whose rows, and what keys become where the law keeps them. Sealed, and destroyed at the end."""

    scope: Scope
    pseudonyms: Mapping[str, str] = field(repr=False)


def pack(kept: Mapping[str, Kept], keys: Keys, request: int) -> bytes:
    """Seal what a request keeps to itself."""
    document = {
        name: {
            "persons": sorted(each.scope.persons),
            "values": {
                table: {column: sorted(values) for column, values in about.items()}
                for table, about in each.scope.values.items()
            },
            "pseudonyms": dict(each.pseudonyms),
        }
        for name, each in kept.items()
    }
    return keys.seal(json.dumps(document).encode(), _about(request))


def unpack(sealed: bytes, keys: Keys, request: int) -> dict[str, Kept]:
    """What ``pack`` sealed.

    Raises:
        ConfigurationError: the key file lacks the key.
        Tampered: somebody changed it, or it is another request's.
    """
    document: dict[str, Any] = json.loads(keys.open(sealed, _about(request)))
    return {
        name: Kept(
            Scope(
                name,
                frozenset(each["persons"]),
                {
                    table: {column: frozenset(values) for column, values in about.items()}
                    for table, about in each["values"].items()
                },
            ),
            each["pseudonyms"],
        )
        for name, each in document.items()
    }


def _about(request: int) -> bytes:
    return f"scope of request {request}".encode()
