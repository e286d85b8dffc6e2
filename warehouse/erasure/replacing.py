"""What becomes of a person's columns where the rows themselves stay: shared ones, and those that a law keeps.

The person's own columns are emptied. Where the law keeps the row, the person's key becomes a random pseudonym, the same
in every row and store of the system, so that sums by account do not change; who it was is known to nobody once the
request is over.

What does not belong here: which rows (``scope``), and writing them.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from warehouse.catalog.model import Table
from warehouse.errors import CatalogMismatch

_WHOLE = {"smallint": 15, "integer": 31, "bigint": 63}
_TEXT = re.compile(r"text|citext|character varying(\((\d+)\))?|character\((\d+)\)")


@dataclass(frozen=True)
class Replacement:
    """Of one table.

    Attributes:
        own: by subject column, the columns that are emptied in rows where it names the person.
        pseudonyms: what a person's key becomes where it stands in a subject column itself; without one, that column
            is emptied like the others.
    """

    own: Mapping[str, tuple[str, ...]]
    pseudonyms: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def replacement_of(table: Table, pseudonyms: Mapping[str, str]) -> Replacement:
    """What a table's policy says is to become of the rows that stay.

    Args:
        table: with the action ``redact`` or ``pseudonymise``.
        pseudonyms: of the persons, by key.
    """
    own: dict[str, tuple[str, ...]] = {}
    for subject in table.subjects:
        own[subject.column] = tuple(dict.fromkeys((*own.get(subject.column, ()), *table.own_columns(subject))))
    return Replacement(own, dict(pseudonyms) if table.erasure.action == "pseudonymise" else {})


def make_pseudonyms(type_name: str, persons: Set[str]) -> dict[str, str]:
    """Random keys of a type, which no application has given: negative numbers, random UUIDs, or ``erased-...``.

    Raises:
        CatalogMismatch: the type has none.
    """
    return {person: _pseudonym(type_name) for person in persons}


def _pseudonym(type_name: str) -> str:
    if type_name in _WHOLE:
        return str(-1 - secrets.randbits(_WHOLE[type_name]))
    if type_name == "uuid":
        return str(uuid.uuid4())
    if (found := _TEXT.fullmatch(type_name)) is not None:
        size = int(found[2] or found[3] or 64)
        if size >= 16:
            return f"erased-{secrets.token_hex(16)}"[:size]
    raise CatalogMismatch(
        f"no pseudonym can be made for a person's key of the type {type_name}",
        hint="A whole number, uuid, or text of 16 characters and more can be replaced; else delete or redact the rows.",
    )
