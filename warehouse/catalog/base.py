"""What every part of a policy is made of: the strict base model, and the names that a policy may use.

What does not belong here: what a policy says (``model``, ``partition``).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
COLUMN_NAME = re.compile(r"[^\W\d]\w*")
MAX_IDENTIFIER = 63
#: Longest suffix the platform adds to a raw table's name while it loads (see ``warehouse.state``).
RESERVED_SUFFIX = 16
_PART = re.compile(r'"(?:[^"]|"")+"|[^".]+')


class Policy(BaseModel):
    """Base: frozen, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _identifier(value: str) -> str:
    if not IDENTIFIER.fullmatch(value):
        raise ValueError(f"{value!r} is no lower-case SQL identifier (letters, digits, underscores)")
    if len(value) > MAX_IDENTIFIER - RESERVED_SUFFIX:
        raise ValueError(f"{value!r} is longer than {MAX_IDENTIFIER - RESERVED_SUFFIX} characters")
    return value


def is_column_name(value: str) -> bool:
    """Whether a column of that name can stand in a policy: letters (of any script and case), digits, underscores.

    What is left out (spaces, dots, quotes, a leading digit) is refused by one of the stores a row passes through.
    """
    return COLUMN_NAME.fullmatch(value) is not None and len(value.encode()) <= MAX_IDENTIFIER


def _column_name(value: str) -> str:
    if not is_column_name(value):
        raise ValueError(
            f"{value!r} is no column name: letters, digits and underscores, at most {MAX_IDENTIFIER} bytes"
        )
    return value


def split_name(text: str) -> tuple[str, ...]:
    """The parts of a qualified name: ``public.orders``, or ``"my.schema"."Order Items"`` with quotes as in SQL.

    Unlike in SQL, a part without quotes keeps its case: ``public.Orders`` names ``Orders``.

    Raises:
        ValueError: the text is no qualified name.
    """
    parts: list[str] = []
    position = 0
    while match := _PART.match(text, position):
        part = match[0]
        parts.append(part[1:-1].replace('""', '"') if part.startswith('"') else part)
        position = match.end()
        if position == len(text):
            return tuple(parts)
        if text[position] != ".":
            break
        position += 1
    raise ValueError(f"{text!r} is no qualified name: write schema.table, in double quotes where a name has a dot")


def join_name(*parts: str) -> str:
    """The text that ``split_name`` reads back: parts in quotes where they need them."""
    return ".".join(
        part if part and not set(part) & {".", '"'} else '"{}"'.format(part.replace('"', '""')) for part in parts
    )


def _table_name(value: str) -> str:
    if len(split_name(value)) > 2:
        raise ValueError(f"{value!r} has more parts than schema.table")
    return value


Identifier = Annotated[
    str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": f"^{IDENTIFIER.pattern}$"})
]
ColumnName = Annotated[str, AfterValidator(_column_name)]
TableName = Annotated[str, AfterValidator(_table_name)]
