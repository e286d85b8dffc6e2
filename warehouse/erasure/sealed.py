"""What a request keeps to itself until it is over: whose rows, what keys become, and what persons are known by. Sealed.

What does not belong here: how it is found (``scope``), and where it is kept (``warehouse.state.requests``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from warehouse.erasure.keys import Keys
from warehouse.erasure.scope import Scope


@dataclass(frozen=True)
class Kept:
    """Of one system; destroyed at the end.

    Attributes:
        scope: whose rows.
        pseudonyms: what keys become where the law keeps the rows.
        known: kind and text of what the persons were known by before they were erased; the verifier looks for it.
    """

    scope: Scope
    pseudonyms: Mapping[str, str] = field(repr=False)
    known: tuple[tuple[str, str], ...] = field(repr=False, default=())


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
            "known": each.known,
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
            tuple((kind, text) for kind, text in each["known"]),
        )
        for name, each in document.items()
    }


def _about(request: int) -> bytes:
    return f"scope of request {request}".encode()
