"""How each column type travels from a source into the warehouse without changing a value.

The rule: what PostgreSQL itself defines arrives as the same type. An enum arrives as an enum of the same name, labels
and order in the raw schema. A domain arrives as what it rests on (its values are those of its base; its checks were
made at the source). ``citext`` arrives as ``text``. Composite types, and types of other extensions, are refused by
name.

COPY runs in the binary format unless a column is an array of a type with an OID of its own (enum, domain): a binary
array names its element's OID, which differs between two databases; such a table travels in the text format, which
says the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from warehouse.errors import UnsupportedType
from warehouse.postgres.introspection import LiveColumn, LiveType

Format = Literal["binary", "text"]

#: Types whose values are OIDs of one database and mean nothing in another.
_LOCAL = {
    "regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc",
    "regprocedure", "regrole", "regtype", "aclitem", "pg_node_tree",
}  # fmt: skip
#: Look like arrays, are written otherwise, and have no use outside of the system catalogs.
_VECTORS = {"int2vector", "oidvector"}


@dataclass(frozen=True)
class CarriedColumn:
    """One column on its way: ``type`` is the SQL type it has in the warehouse."""

    name: str
    type: sql.Composable
    type_name: str
    labels: tuple[str, ...] = ()
    enum: str | None = None
    binary: bool = True


@dataclass(frozen=True)
class Carriage:
    """How one table travels: its columns in order, and the COPY format that carries them exactly."""

    columns: tuple[CarriedColumn, ...]

    @property
    def format(self) -> Format:
        """``binary`` where every column allows it."""
        return "binary" if all(column.binary for column in self.columns) else "text"

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)


def carriage(columns: Sequence[LiveColumn], raw_schema: str, where: str) -> Carriage:
    """Decide how the columns travel.

    Args:
        columns: as the source has them.
        raw_schema: the warehouse schema that holds the copies of the source's enum types.
        where: what an error names, e.g. ``shop.orders``.

    Raises:
        UnsupportedType: with every column that cannot be carried exactly.
    """
    refused = [f"{where}.{column.name}: {reason}" for column in columns if (reason := refusal(column)) is not None]
    if refused:
        raise UnsupportedType(
            "\n".join(refused),
            hint="Declare it as `{type: text, cast: text}`, leave it out, or give it a plain type at the source.",
        )
    return Carriage(tuple(_carried(column, raw_schema) for column in columns))


def refusal(column: LiveColumn) -> str | None:
    """Why the column cannot be carried exactly, or None if it can."""
    kind = column.type
    if kind.nested:
        return f"type {kind.name} is an array of arrays through a domain, which is not carried"
    if _is_citext(kind) or kind.family == "enum":
        return None
    if kind.family in ("composite", "pseudo"):
        return f"type {kind.name} is a {kind.family} type, which is not carried"
    if not kind.builtin:
        return f"type {kind.name} belongs to an extension or is user-defined, and is not carried"
    if kind.name.removesuffix("[]") in _VECTORS:
        return f"type {kind.name} is of PostgreSQL's own catalogs, and is not carried; use an array"
    if kind.element in _LOCAL:
        return f"type {kind.name} holds identifiers of its own database, which mean nothing elsewhere"
    return None


def _is_citext(kind: LiveType) -> bool:
    """Whatever schema the extension is in, and whether the search_path has it or not."""
    return kind.type_name == "citext" and kind.family == "base" and not kind.builtin


def _carried(column: LiveColumn, raw_schema: str) -> CarriedColumn:
    kind = column.type
    brackets = "[]" if kind.array else ""
    if kind.family == "enum":
        # Two schemas of a source may each have an enum of that name.
        name = kind.type_name if kind.type_schema == "public" else f"{kind.type_schema}_{kind.type_name}"
        return CarriedColumn(
            name=column.name,
            type=sql.SQL("{}" + brackets).format(sql.Identifier(raw_schema, name)),
            type_name=f"{raw_schema}.{name}{brackets}",
            labels=kind.labels,
            enum=name,
            binary=not kind.array,
        )
    citext = _is_citext(kind)
    carrier = f"text{brackets}" if citext else kind.carrier
    # format_type() output of a pg_catalog type: SQL by construction, never a user's text.
    return CarriedColumn(
        name=column.name,
        type=sql.SQL(carrier),  # type: ignore[arg-type]
        type_name=carrier,
        binary=not (kind.array and (kind.through_domain or citext)),
    )
