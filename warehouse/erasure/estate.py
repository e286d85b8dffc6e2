"""Every store that a request reaches, who looks afterwards, and what is said of it all.

What does not belong here: what is done to the stores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from warehouse.catalog import Catalog
from warehouse.catalog.age import Age
from warehouse.erasure.caches import Cache
from warehouse.erasure.identifiers import Identifier
from warehouse.erasure.keys import Keys
from warehouse.erasure.witness import Witness
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
        keys: what identifiers and scopes are sealed with, and certificates signed.
        witness: who did not erase, and looks.
        caches: of systems that have one.
        backups: how long they are kept, and with them who is in them; None: there are none.
        issuer: who certifies.
    """

    catalog: Catalog
    sources: Mapping[str, Dsn]
    warehouse: Dsn
    lake: Store
    objects: Store
    keys: Keys = field(repr=False)
    witness: Witness = field(repr=False)
    caches: Mapping[str, Cache] = field(default_factory=dict[str, Cache])
    backups: Age | None = None
    issuer: str = "Drivetrain"

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
