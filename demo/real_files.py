"""Reading the public data files: gzipped CSV, each value checked, each fault named by file, line and column.

What belongs here: turning a file into typed rows, or refusing it whole. What does not: what any file means; that is
``demo/<system>/real.py``. No row is ever skipped: a value that cannot be read is an error.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import re
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from psycopg import sql

from warehouse.errors import DemoError

#: What the files write where nothing was recorded, once stray blanks are gone.
MISSING = frozenset({"", "NaN"})


@dataclass(frozen=True)
class Field:
    """One column of a file.

    Attributes:
        parse: makes the value; raises ValueError.
        kind: what a value should be, for the error message.
        optional: a missing value is None, and no error.
        unique: no value occurs twice.
        known: the value is one of these, for instance the keys of another file.
    """

    parse: Callable[[str], Any]
    kind: str
    optional: bool = False
    unique: bool = False
    known: frozenset[Any] | None = None


def text(pattern: str = r"(?s).+", **options: Any) -> Field:
    """Text that matches the whole pattern."""
    compiled = re.compile(pattern)

    def parse(value: str) -> str:
        if not compiled.fullmatch(value) or "\0" in value:
            raise ValueError
        return value

    return Field(parse, f"text of the form {pattern}" if pattern != r"(?s).+" else "text", **options)


def identifier(**options: Any) -> Field:
    """32 hexadecimal digits, read as a uuid."""

    def parse(value: str) -> uuid.UUID:
        if not re.fullmatch(r"[0-9a-f]{32}", value):
            raise ValueError
        return uuid.UUID(value)

    return Field(parse, "identifier of 32 hexadecimal digits", **options)


def integer(low: int, high: int, **options: Any) -> Field:
    """An integer within bounds; a fraction of zero (``58.0``) is understood."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"-?\d+(\.0+)?", value, re.ASCII) or not low <= int(value.partition(".")[0]) <= high:
            raise ValueError
        return int(value.partition(".")[0])

    return Field(parse, f"integer from {low} to {high}", **options)


def number(low: float, high: float, **options: Any) -> Field:
    """A decimal number within bounds, kept exactly."""

    def parse(value: str) -> Decimal:
        try:
            result = Decimal(value)
        except InvalidOperation:
            raise ValueError from None
        if not result.is_finite() or not low <= result <= high:
            raise ValueError
        return result

    return Field(parse, f"number from {low:g} to {high:g}", **options)


def moment(layout: str, **options: Any) -> Field:
    """A local date, time of day, or both, written in the given layout (as ``strptime`` reads it)."""
    return Field(lambda value: dt.datetime.strptime(value, layout), f"time written as {layout}", **options)


def rows(file: Path, fields: Mapping[str, Field]) -> Iterator[tuple[Any, ...]]:
    """The file's rows in its own order, with the values of these columns in this order.

    Raises:
        DemoError: the file is missing or malformed.
    """
    seen: dict[str, set[Any]] = {name: set() for name, field in fields.items() if field.unique}
    line = 1
    try:
        with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            for name in fields:
                if header.count(name) != 1:
                    refuse(
                        file, 1, name, "the header names this column " + ("twice" if name in header else "not at all")
                    )
            places = [(header.index(name), name, field) for name, field in fields.items()]
            for record in reader:
                line = reader.line_num
                if len(record) != len(header):
                    column = header[len(record)] if len(record) < len(header) else header[-1]
                    refuse(file, line, column, f"the line has {len(record)} values, the header {len(header)}")
                yield tuple(
                    _value(file, line, name, field, record[place].strip(), seen) for place, name, field in places
                )
    except FileNotFoundError:
        raise DemoError(
            f"The real data file {file} is missing",
            hint="Name a folder that has all files listed in docs/real-data.md, or fill without real data.",
        ) from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DemoError(f"{file}, after line {line}: not readable as gzipped CSV: {error}", hint=_HINT) from None


def refuse(file: Path, line: int, column: str, fault: str) -> NoReturn:
    """Say which value is wrong."""
    raise DemoError(f"{file}, line {line}, column {column}: {fault}", hint=_HINT)


_HINT = "Rows are never skipped: mend the file or get it again. Nothing was changed."


def _value(file: Path, line: int, name: str, field: Field, written: str, seen: dict[str, set[Any]]) -> Any:
    if written in MISSING:
        return None if field.optional else refuse(file, line, name, "a value is missing")
    try:
        value = field.parse(written)
    except ValueError:
        refuse(file, line, name, f"{written!r} is no {field.kind}")
    if field.known is not None and value not in field.known:
        refuse(file, line, name, f"{written!r} is not known")
    if field.unique:
        if value in seen[name]:
            refuse(file, line, name, f"{written!r} occurs twice")
        seen[name].add(value)
    return value


def copy_into(connection: psycopg.Connection, table: str, content: Sequence[Sequence[Any]]) -> None:
    """COPY rows into a table of that many columns, and analyze it."""
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy,
    ):
        for row in content:
            copy.write_row(row)
    connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
