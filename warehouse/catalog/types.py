"""How PostgreSQL types are spelled in the catalog.

The catalog uses the spelling of ``format_type()``; the usual short names are accepted and normalised, so that
``timestamptz`` in a policy equals ``timestamp with time zone`` in a database.
"""

from __future__ import annotations

import re

_ALIASES = {
    "bool": "boolean",
    "bpchar": "character",
    "char": "character",
    "decimal": "numeric",
    "float4": "real",
    "float8": "double precision",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "varbit": "bit varying",
    "varchar": "character varying",
}
_SHAPE = re.compile(r"^(?P<base>.*?)(?P<args>\([^()]*\))?(?P<array>(?:\[\])*)$")


def normalise_type(text: str) -> str:
    """The spelling that ``format_type()`` gives, e.g. ``timestamptz(3)[]`` -> ``timestamp(3) with time zone[]``."""
    match = _SHAPE.match(" ".join(text.strip().split()))
    assert match is not None  # the pattern matches any text
    base, args, array = match["base"].strip(), (match["args"] or "").replace(" ", ""), match["array"]
    base = _ALIASES.get(base.lower(), base)
    head, _, zone = base.partition(" ")
    if head in ("timestamp", "time") and zone in ("with time zone", "without time zone"):
        return f"{head}{args} {zone}{array}"
    return f"{base}{args}{array}"
