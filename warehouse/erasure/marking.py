"""Rows of one table that are about some persons, and what becomes of them: said in SQL, and of a file's columns.

Both say the same of the same rows; what the lake loses is held against what PostgreSQL says of it (``cold``). A row
whose person's columns are empty already is not told again, so that what was done is not done twice.

What does not belong here: which values lead to a person (``scope``), what is emptied (``replacing``), and writing.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Generator, Iterable, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from psycopg import sql

from warehouse.catalog.model import Table
from warehouse.erasure.replacing import Replacement
from warehouse.errors import CatalogMismatch
from warehouse.lake.columns import LakeColumn
from warehouse.lake.layout import Layout
from warehouse.lake.rewrite import Changed
from warehouse.postgres.persons import rows_about

_TEXT = ("text", "uuid", "character varying", "character(", "citext")
_arrow: Any = pa
_compute: Any = pc


@dataclass(frozen=True)
class Marking:
    """Of one table.

    Attributes:
        policy: its.
        columns: of the raw table, as the lake has them.
        about: by subject column, the values that lead to the persons, as text.
        replacement: what becomes of their rows; None: the rows go.
    """

    policy: Table
    columns: tuple[LakeColumn, ...]
    about: Mapping[str, Set[str]] = field(repr=False)
    replacement: Replacement | None = field(default=None, repr=False)

    @cached_property
    def wanted(self) -> dict[str, Set[str]]:
        """By subject column: without those of which nothing would be done."""
        return {
            name: values
            for name, values in self.about.items()
            if values and (self.replacement is None or self.replacement.own.get(name))
        }

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """Columns that may change."""
        if self.replacement is None:
            return ()
        own = {column for subject in self.wanted for column in self.replacement.own[subject]}
        return tuple(column.name for column in self.columns if column.name in own)

    @cached_property
    def _direct(self) -> Set[str]:
        """Subject columns that hold persons' own keys."""
        return {subject.column for subject in self.policy.subjects if subject.table is None}

    def condition(self, types: Mapping[str, str]) -> sql.Composed:
        """In SQL: the rows.

        Args:
            types: of a relation's columns, as ``format_type()`` spells them; it may lack some.
        """
        parts = [part for name in self.wanted if name in types and (part := self._of_subject(name, types)) is not None]
        return sql.SQL("({})").format(sql.SQL(" OR ").join(parts)) if parts else sql.SQL("false").format()

    def _of_subject(self, name: str, types: Mapping[str, str]) -> sql.Composable | None:
        named = rows_about(types, {name: self.wanted[name]})
        if self.replacement is None:
            return named
        own = [sql.Identifier(column) for column in self.replacement.own[name] if column in types]
        if not own:
            return None
        return sql.SQL("({} AND num_nonnulls({}) > 0)").format(named, sql.SQL(", ").join(own))

    def assignments(self, types: Mapping[str, str]) -> dict[str, sql.Composable]:
        """In SQL: what each column becomes that may change, in the rows."""
        assert self.replacement is not None
        return {column: self._becomes(column, types) for column in self.changed if column in types}

    def _becomes(self, column: str, types: Mapping[str, str]) -> sql.Composed:
        assert self.replacement is not None
        c, kind = sql.Identifier(column), sql.SQL(types[column])  # type: ignore[arg-type]  # format_type() output
        cases: list[sql.Composable] = []
        for subject in self._owners(column):
            values = self.wanted[subject]
            if subject not in types:
                continue
            becomes: sql.Composable = sql.SQL("NULL")
            if self._keeps_a_key(column, subject):
                known = sql.Literal(json.dumps({key: self.replacement.pseudonyms.get(key) for key in sorted(values)}))
                becomes = sql.SQL("({}::jsonb ->> {}::text)::{}").format(known, c, kind)
            cases.append(sql.SQL("WHEN {} THEN {}").format(rows_about(types, {subject: values}), becomes))
        return sql.SQL("CASE {} ELSE {} END").format(sql.SQL(" ").join(cases), c) if cases else sql.Composed([c])

    def _owners(self, column: str) -> list[str]:
        """Subject columns whose person a column is of; the column itself first."""
        assert self.replacement is not None
        owners = [subject for subject in self.wanted if column in self.replacement.own[subject]]
        return sorted(owners, key=lambda subject: subject != column)

    def _keeps_a_key(self, column: str, subject: str) -> bool:
        """Whether a person's key stands there, of which a pseudonym is made."""
        assert self.replacement is not None
        return column == subject and subject in self._direct and bool(self.replacement.pseudonyms)

    def select(self, relation: sql.Composable, types: Mapping[str, str]) -> sql.Composed:
        """In SQL: what becomes of the rows that stay, as a relation."""
        becomes = self.assignments(types)
        named = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(becomes.get(name, sql.Identifier(name)), sql.Identifier(name)) for name in types
        )
        return sql.SQL("(SELECT {} FROM {} WHERE {}) AS became").format(named, relation, self.condition(types))

    # Of files.

    def marked(self, rows: pa.Table, subjects: Iterable[str] | None = None) -> dict[str, NDArray[np.bool_]]:
        """Of a file's rows: by subject column, those that it leads to a person. What a file lacks leads nowhere.

        Args:
            rows: with the types of the lake.
            subjects: only these columns.
        """
        found: dict[str, NDArray[np.bool_]] = {}
        for name in self.wanted if subjects is None else subjects:
            if name in rows.column_names and (self.replacement is None or self._has_own(name, rows)):
                column: Any = rows.column(name)
                lowered = _compute.utf8_lower(column) if self._type(name) == "citext" else column
                found[name] = _flags(_compute.is_in(lowered, value_set=self._sought[name]))
                if self.replacement is not None:
                    found[name] &= self._filled(name, rows)
        return found

    def needed(self, subject: str) -> tuple[str, ...]:
        """Columns that ``marked`` looks at for a subject."""
        own = self.replacement.own[subject] if self.replacement is not None else ()
        return tuple(dict.fromkeys((subject, *own)))

    def _has_own(self, subject: str, rows: pa.Table) -> bool:
        assert self.replacement is not None
        return any(name in rows.column_names for name in self.replacement.own[subject])

    def _filled(self, subject: str, rows: pa.Table) -> NDArray[np.bool_]:
        assert self.replacement is not None
        filled = np.zeros(rows.num_rows, np.bool_)
        for name in self.replacement.own[subject]:
            if name in rows.column_names:
                filled |= _flags(rows.column(name).is_valid())
        return filled

    def may_hold(self, subject: str, lowest: Any, highest: Any) -> bool:
        """Whether a value may lie among those of a row group, by its statistics."""
        if self._type(subject) == "citext":
            return True
        values = self._ordered[subject]
        at = bisect.bisect_left(values, lowest)
        return at < len(values) and values[at] <= highest

    def buckets(self, layout: Layout) -> Set[int] | None:
        """Where in the lake rows can be by the layout's subject; None: anywhere."""
        if layout.subject not in self.wanted:
            return None
        kind = self._type(layout.subject)
        if layout.whole:
            return {layout.bucket_of(value) for value in self._sought[layout.subject].to_pylist()}
        # Else equal values may have been printed differently.
        if kind in ("text", "uuid") or kind.startswith("character varying"):
            return {layout.bucket_of(value) for value in self.wanted[layout.subject]}
        return None

    def change(self, rows: pa.Table, layout: Layout | None = None) -> Changed | None:
        """What becomes of a file's rows; None: nothing changes.

        Args:
            rows: with the types of the lake.
            layout: rows whose subject changes do not stay in the file, if its bucket follows from the subject.
        """
        marks = self.marked(rows)
        goes = np.zeros(rows.num_rows, np.bool_)
        for flags in marks.values():
            goes |= flags
        if not goes.any():
            return None
        gone = rows.filter(pa.array(goes))
        if self.replacement is None:
            return Changed(rows.filter(pa.array(~goes)), gone, gone.slice(0, 0))
        made = self._made(gone, {name: flags[goes] for name, flags in marks.items()})
        if layout is not None and layout.subject in self.changed and layout.buckets > 1:
            return Changed(rows.filter(pa.array(~goes)), gone, made)
        stays = rows
        for name in self.changed:
            if name in rows.column_names:
                column: Any = rows.column(name)
                values: Any = made.column(name)
                becomes = _compute.replace_with_mask(column.combine_chunks(), pa.array(goes), values.combine_chunks())
                stays = _with_column(stays, name, becomes)
        return Changed(stays, gone, made)

    def _made(self, gone: pa.Table, marks: Mapping[str, NDArray[np.bool_]]) -> pa.Table:
        assert self.replacement is not None
        made = gone
        for name in self.changed:
            if name not in gone.column_names:
                continue
            column: Any = gone.column(name)
            for subject in reversed(self._owners(name)):
                if subject not in marks:
                    continue
                becomes = _arrow.scalar(None, column.type)
                if self._keeps_a_key(name, subject):
                    known = self.replacement.pseudonyms
                    texts: Any = gone.column(name).cast(pa.string())
                    keys: Any = pa.array([known.get(text) for text in texts.to_pylist()], pa.string())
                    becomes = keys.cast(column.type)
                column = _compute.if_else(pa.array(marks[subject]), becomes, column)
            made = _with_column(made, name, column)
        return made

    def _type(self, name: str) -> str:
        return next(column.type_name for column in self.columns if column.name == name)

    @cached_property
    def _sought(self) -> dict[str, Any]:
        """The values, with the type of the column in the lake."""
        return {name: self._array(name, values) for name, values in self.wanted.items()}

    @cached_property
    def _ordered(self) -> dict[str, list[Any]]:
        return {name: sorted(values.to_pylist()) for name, values in self._sought.items()}

    def _array(self, name: str, values: Set[str]) -> Any:
        column = next(column for column in self.columns if column.name == name)
        try:
            if pa.types.is_integer(column.arrow):
                bound = 2 ** (column.arrow.bit_width - 1)
                return pa.array([each for each in map(int, values) if -bound <= each < bound], column.arrow)
            if pa.types.is_decimal(column.arrow):
                return pa.array([Decimal(value) for value in values]).cast(column.arrow)
            if column.type_name.startswith(_TEXT):
                lowered = column.type_name == "citext"
                return pa.array([value.lower() if lowered else value for value in values], pa.string())
        except (ValueError, ArithmeticError, pa.ArrowInvalid):
            raise unfit(name, column.type_name) from None
        raise unfit(name, column.type_name)


def unfit(column: str, type_name: str) -> CatalogMismatch:
    """A subject whose values cannot be compared; without them."""
    return CatalogMismatch(
        f"{column}: values that lead to persons do not fit the type {type_name}",
        hint="A subject is a whole number, uuid or text, of the type of what it references. Nothing was changed.",
    )


@contextmanager
def unquoted(where: str) -> Generator[None]:
    """What a server says of a value quotes it: an error that may, says where it was instead."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise CatalogMismatch(
            f"{where}: the server refused what becomes of rows ({type(error).__name__})",
            hint="Nothing was changed. Can its own columns be empty, and do subjects have the type of what they"
            " reference?",
        ) from None


def column_types(connection: psycopg.Connection[Any], relation: sql.Identifier) -> dict[str, str]:
    """Of a relation's columns, in order, as ``format_type()`` spells them; empty if it is not there."""
    rows = connection.execute(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (relation.as_string(connection),),
    )
    return dict(rows.fetchall())


def _with_column(rows: pa.Table, name: str, values: Any) -> pa.Table:
    fields: Any = rows.schema
    return rows.set_column(rows.column_names.index(name), fields.field(name), values)


def _flags(found: Any) -> NDArray[np.bool_]:
    return found.fill_null(False).to_numpy(zero_copy_only=False).astype(np.bool_)
