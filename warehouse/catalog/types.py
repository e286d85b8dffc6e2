"""How PostgreSQL types are spelled in the catalog.

The catalog uses the spelling of ``format_type()``; the usual short names are accepted and normalised, so that
``timestamptz`` in a policy equals ``timestamp with time zone`` in a database. Case matters only in double quotes.

What does not belong here: which types can be carried (``warehouse.postgres.carriage``).
"""

from __future__ import annotations

import re

_ALIASES = {
    "bool": "boolean",
    "dec": "numeric",
    "decimal": "numeric",
    "float": "double precision",
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
    "char varying": "character varying",
    "char": "character",
}
#: Of these, the bare name means one character or bit.
_ONE = {"character", "bit"}
_SHAPE = re.compile(
    r"(?P<base>.*?) ?(?P<args>\([^()\"]*\))?(?P<zone> with(?:out)? time zone)?(?P<array>(?: ?\[\d*\])*)"
)
_QUOTED = re.compile(r'("(?:[^"]|"")*")')


def normalise_type(text: str) -> str:
    """The spelling that ``format_type()`` gives, e.g. ``timestamptz(3)[]`` -> ``timestamp(3) with time zone[]``.

    Raises:
        ValueError: the text is empty.
    """
    pieces = _QUOTED.split(text.strip())
    folded = "".join(p if i % 2 else " ".join(re.split(r"\s+", p.lower())) for i, p in enumerate(pieces))
    match = _SHAPE.fullmatch(folded)
    if not folded or match is None:
        raise ValueError("names no type; write a PostgreSQL type, e.g. numeric(12,2)")
    base, args = match["base"], (match["args"] or "").replace(" ", "")
    base = base if match["zone"] else _ALIASES.get(base, base)
    if base in _ONE and not args:
        args = "(1)"
    # PostgreSQL does not keep how many dimensions an array was declared with.
    array = "[]" if match["array"] else ""
    head, blank, zone = base.partition(" ")
    if blank and head in ("timestamp", "time"):
        return f"{head}{args} {zone}{array}"
    return f"{base}{args}{match['zone'] or ''}{array}"


def unqualified(text: str) -> str:
    """A type's spelling without its schema: ``app.status[]`` -> ``status[]``."""
    match = re.fullmatch(r'(?:(?:"(?:[^"]|"")*"|[^".]+)\.)?((?:"(?:[^"]|"")*"|[^".(]+)(?:\(.*\).*)?(?:\[\])?)', text)
    return match[1] if match else text
