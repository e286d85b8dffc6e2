"""Which policies were in force: a hash of the catalog, for plans and certificates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from warehouse.canonical import sha256
from warehouse.catalog.model import Catalog


def policy_version(catalog: Catalog) -> str:
    """SHA-256 over all policies in canonical form, in hexadecimal digits.

    Comments, the order of tables and the way a file writes things do not change it; everything that a policy says does.
    """
    return sha256(_whole(catalog.model_dump(mode="json", by_alias=True)))


def _whole(value: Any) -> Any:
    """Bounds of rules may have fractions, which have no canonical form: as text."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {name: _whole(item) for name, item in cast("Mapping[str, Any]", value).items()}
    return [_whole(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
