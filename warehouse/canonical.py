"""One way to write a document, so that its hash and its signature do not depend on who writes it.

It is RFC 8785 (JSON Canonicalization Scheme) for documents without fractions: UTF-8, no white space, members sorted by
their names' UTF-16 code units, only the escapes that JSON demands. Numbers are whole and within 2^53, where all readers
agree; what is larger, or has a fraction, is written as text. What does not belong here: what a document says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

#: The largest whole number that every reader of JSON reads exactly.
LARGEST = 2**53 - 1


def canonical(value: Any) -> bytes:
    """A document's only spelling.

    Args:
        value: mappings with text keys, lists, tuples, text, whole numbers, booleans and None.

    Raises:
        ValueError: something else, a number that readers would not agree on, or text that is no Unicode.
    """
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def parse_canonical(content: bytes) -> Any:
    """Read a document that is spelled as ``canonical`` spells it, and no other.

    Raises:
        ValueError: it is no JSON, a name stands twice, or another spelling of what it says.
    """
    try:
        value = json.loads(content.decode(), object_pairs_hook=_members, parse_float=_no_fraction)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if canonical(value) != content:
        raise ValueError("it is not in canonical form: something was added, reordered or laid out anew")
    return value


def sha256(value: Any) -> str:
    """The hash of a document, in hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise ValueError("a whole number beyond 2^53 is not read alike everywhere: write it as text")
        return int(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value)
        if not all(isinstance(name, str) for name in members):
            raise ValueError("names of members are text")
        return {name: _plain(members[name]) for name in sorted(members, key=_code_units)}
    raise ValueError(f"{type(value).__name__} has no canonical form: write it as text")


def _code_units(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _no_fraction(_: str) -> Any:
    raise ValueError("a number with a fraction")
