"""Everything that is held about a person, as a zip that people and programs read: JSON Lines, CSV, and what they mean.

Whoever asks gets what is theirs, and of a row that they share with others only what is theirs and what tells of nobody
(Art. 15(4) and 20(4) GDPR: a copy does not harm others). So of a message that they received they see when and from whom
it came, but not the sender's words; and whom they follow, or who bought from them, is a name that holds within this
file alone. What a person gave of others for their own use (a contact for emergencies) is theirs. Credentials are left
out: they are of use to nobody but an attacker.

What does not belong here: reading the stores (rows are passed in, as PostgreSQL prints values in canonical settings),
and where the file is kept and for how long.
"""

from __future__ import annotations

import hmac
import io
import json
import secrets
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import IO, Any

from warehouse.catalog.model import Column, Subject, System, Table
from warehouse.errors import DrivetrainError

Row = Sequence[str | None]
_NUMBERS = {
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "double precision": "double",
    "real": "float",
}
_README = """\
What is held about you
======================
Made at {made_at}. These files are yours: keep them where nobody else can read them.

For every table there are two files with the same content: .csv opens in a spreadsheet, .jsonl is for
programs (one JSON document a line). schema.json says what every column means, in the form "CSV on the
Web". Values are written as the database prints them; times are in UTC (+00). Nothing between two commas
means: no value. Before you open .csv in a spreadsheet: text that begins with = + - or @ is text, not a
formula.

Some records are shared with other people. Of those you find what is yours and what tells of nobody. Other
people are named person-..., always by the same name within these files; it means nothing elsewhere.

Documents and pictures are in the folder files, as they were stored: {files}

Table: number of records; what is left out of each, and why
"""


@dataclass(frozen=True)
class TableRows:
    """The rows of one table that are about a person, from all tiers.

    Attributes:
        about: by subject column, the values that lead to the person (``Scope.about``).
        rows: all columns of the policy, in its order, as text. Read once.
    """

    system: System
    table: str
    about: Mapping[str, Set[str]] = field(repr=False)
    rows: Iterable[Row] = field(repr=False)


@dataclass(frozen=True)
class FileContent:
    """A document or a picture of the person.

    Attributes:
        bucket: where it was stored.
        path: its name there.
        pieces: of its content. Read once.
    """

    bucket: str
    path: str = field(repr=False)
    pieces: Iterable[bytes] = field(repr=False)


@dataclass(frozen=True)
class Portable:
    """What was written of one table, for the record: counts only."""

    system: str
    table: str
    rows: int
    left_out: Mapping[str, str]


class Sharing:
    """What of a table's rows a person may have.

    Args:
        key: of this file alone: by it, other persons have the same name throughout, and none outside.
    """

    def __init__(self, system: System, table: str, about: Mapping[str, Set[str]], key: bytes) -> None:
        self._key = key
        self._about = about
        self._policy = policy = system.tables[table]
        self._names = list(policy.columns)
        self._place = {name: place for place, name in enumerate(self._names)}
        self._subjects = [subject for subject in policy.subjects if subject.column in about]
        self._own = {subject: frozenset(policy.own_columns(subject)) for subject in self._subjects}
        self._persons = {subject.column for subject in policy.subjects if _names_a_person(system, subject)}
        self._open = {name for name, column in policy.columns.items() if column.personal is None} - self._persons
        #: Columns that no row of this file has, and why.
        self.left_out = {name: why for name in self._names if (why := self._why_never(name)) is not None}
        #: The others, in the policy's order.
        self.columns = [name for name in self._names if name not in self.left_out]

    def of(self, row: Row) -> dict[str, str | None]:
        """The part of a row that is the person's, and what tells of nobody.

        Raises:
            DrivetrainError: the row is not about the person; the message does not quote it.
        """
        ways = [each for each in self._subjects if row[self._place[each.column]] in self._about[each.column]]
        if not ways:
            raise DrivetrainError("a row that is not about the person was to be handed out; nothing was")
        own = frozenset[str]().union(*(self._own[way] for way in ways))
        shown: dict[str, str | None] = {}  # without what is another's in this row alone
        for name in self.columns:
            value = row[self._place[name]]
            if name in self._persons:
                shown[name] = value if value is None or value in self._about.get(name, ()) else self._other(value)
            elif name in self._open or name in own:
                shown[name] = value
        return shown

    def _other(self, key: str) -> str:
        return f"person-{hmac.digest(self._key, key.encode(), 'sha256').hex()[:16]}"

    def _why_never(self, name: str) -> str | None:
        column = self._policy.columns[name]
        if column.personal == "credential":
            return "a credential"
        if name in self._open or name in self._persons or any(name in own for own in self._own.values()):
            return None
        return "somebody else's" if column.whose else "nobody has said whose it is"


def write_portable(
    target: IO[bytes], tables: Iterable[TableRows], made_at: str, files: Iterable[FileContent] = ()
) -> tuple[list[Portable], int]:
    """Write the zip, table by table; no table is ever in memory.

    Args:
        target: where to, at its beginning.
        tables: each once.
        made_at: when, in UTC, for the README.
        files: asked for when the tables are written.

    Returns:
        What was written of each table, and how many files.

    Raises:
        DrivetrainError: a row is not about the person; what was written by then is to be thrown away.
        ValueError: a table comes twice.
    """
    key = secrets.token_bytes(32)
    written: list[Portable] = []
    described: list[dict[str, Any]] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in tables:
            if any((one.system, one.table) == (each.system.system, each.table) for one in written):
                raise ValueError(f"{each.system.system}.{each.table} comes twice")
            sharing = Sharing(each.system, each.table, each.about, key)
            count = _write_table(archive, each, sharing)
            written.append(Portable(each.system.system, each.table, count, sharing.left_out))
            described.append(_description(each.system, each.table, sharing))
        _write(archive, "schema.json", _pretty({"@context": "http://www.w3.org/ns/csvw", "tables": described}))
        count = sum(1 for each in files if _write_file(archive, each))
        _write(archive, "README.txt", _readme(written, made_at, count))
    return written, count


def _write_table(archive: zipfile.ZipFile, each: TableRows, sharing: Sharing) -> int:
    name, count = f"data/{each.system.system}/{each.table}", 0
    # A zip takes one file at a time. The other waits in one that has no name, and is gone with this process.
    with tempfile.TemporaryFile() as waiting:
        table = io.TextIOWrapper(waiting, encoding="utf-8", newline="", write_through=True)
        table.write(_csv_line(sharing.columns))
        with archive.open(f"{name}.jsonl", "w", force_zip64=True) as lines:
            for row in each.rows:
                shown = sharing.of(row)
                lines.write(json.dumps(shown, ensure_ascii=False).encode() + b"\n")
                table.write(_csv_line([shown.get(column) for column in sharing.columns]))
                count += 1
        table.flush()
        waiting.seek(0)
        with archive.open(f"{name}.csv", "w", force_zip64=True) as copy:
            shutil.copyfileobj(waiting, copy)
        table.detach()
    return count


def _write_file(archive: zipfile.ZipFile, each: FileContent) -> bool:
    # Whoever unpacks it must not be led outside of the folder.
    steps = [step for step in f"{each.bucket}/{each.path}".split("/") if step not in ("", ".", "..")]
    entry = zipfile.ZipInfo(f"files/{'/'.join(steps)}", time.gmtime()[:6])
    entry.external_attr = 0o600 << 16
    with archive.open(entry, "w", force_zip64=True) as file:  # pictures are compressed already
        for piece in each.pieces:
            file.write(piece)
    return True


def _csv_line(values: Sequence[str | None]) -> str:
    """As PostgreSQL writes CSV: what is NULL is nothing, what is empty is quoted."""
    return ",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in values) + "\r\n"


def _names_a_person(system: System, subject: Subject) -> bool:
    return system.person is not None and system.target_of(subject) == (system.person.table, system.person.key)


def _description(system: System, name: str, sharing: Sharing) -> dict[str, Any]:
    """Of one table, as CSV on the Web has it; JSON Lines have the same members."""
    table: Table = system.tables[name]
    columns = [_column(column, table.columns[column]) for column in sharing.columns]
    return {
        "url": f"data/{system.system}/{name}.csv",
        "dc:title": f"{system.system}.{name}",
        "dc:description": table.description,
        "dialect": {"header": True, "lineTerminators": ["\r\n"]},
        "tableSchema": {"columns": columns, "primaryKey": [key for key in table.key if key in sharing.columns]},
    }


def _column(name: str, column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "datatype": _datatype(column), "dc:format": f"PostgreSQL {column.type}"}
    if column.description:
        described["dc:description"] = column.description
    return described


def _datatype(column: Column) -> str:
    """A person's key is text, for another's is a name of this file."""
    if column.personal == "person_id" or column.type not in _NUMBERS:
        return "decimal" if column.type.startswith("numeric") else "string"
    return _NUMBERS[column.type]


def _readme(written: Sequence[Portable], made_at: str, files: int) -> str:
    return _README.format(made_at=made_at, files=f"{files:,}") + "".join(
        f"{line}\n" for each in written for line in _counted(each)
    )


def _counted(each: Portable) -> Iterator[str]:
    yield f"- {each.system}.{each.table}: {each.rows:,}"
    for why in dict.fromkeys(each.left_out.values()):
        names = ", ".join(name for name, reason in each.left_out.items() if reason == why)
        yield f"    left out, {why}: {names}"


def _pretty(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _write(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(name, text.encode())
