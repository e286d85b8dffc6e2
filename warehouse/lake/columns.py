"""How each column of a raw table lies in Parquet, exactly: its Arrow type, its encoding, and what its hash is made of.

What Parquet and Delta have no exact type for is kept as PostgreSQL writes it, as text under canonical settings: no
value changes, and what was kept so is told by ``LakeColumn.as_text``. Infinite times have no place in a timestamp, and
are refused (``warehouse.lake.export``).

What does not belong here: reading or writing rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from warehouse.lake.rowhash import Kind
from warehouse.postgres.carriage import Carriage

#: Parquet encodings: GPS data is half as large by them as by the default (``docs/adr``).
Encoding = Literal["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT", "dictionary", "PLAIN"]

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
#: Of the days and microseconds that Arrow counts from 1970, and PostgreSQL from 2000.
_EPOCH_DAYS, _EPOCH_MICROSECONDS = 10_957, 946_684_800_000_000

_TYPES: Mapping[str, tuple[pa.DataType, Kind, Encoding]] = {
    "smallint": (pa.int16(), "int4", "DELTA_BINARY_PACKED"),
    "integer": (pa.int32(), "int4", "DELTA_BINARY_PACKED"),
    "bigint": (pa.int64(), "int8", "DELTA_BINARY_PACKED"),
    "real": (pa.float32(), "float8", "BYTE_STREAM_SPLIT"),
    "double precision": (pa.float64(), "float8", "BYTE_STREAM_SPLIT"),
    "boolean": (pa.bool_(), "int4", "PLAIN"),
    "date": (pa.date32(), "int4", "DELTA_BINARY_PACKED"),
    "timestamp with time zone": (pa.timestamp("us", "UTC"), "int8", "DELTA_BINARY_PACKED"),
    "timestamp without time zone": (pa.timestamp("us"), "int8", "DELTA_BINARY_PACKED"),
    "bytea": (pa.binary(), "bytes", "dictionary"),
}


@dataclass(frozen=True)
class LakeColumn:
    """One column.

    Attributes:
        name: as in the raw table.
        type_name: its PostgreSQL type.
        arrow: its type in the files.
        kind: how a value is hashed.
        encoding: in Parquet.
        as_text: it is sent, and hashed, as PostgreSQL writes it.
    """

    name: str
    type_name: str
    arrow: pa.DataType
    kind: Kind
    encoding: Encoding
    as_text: bool = False

    @property
    def timed(self) -> bool:
        """Whether its values may be infinite times."""
        return pa.types.is_temporal(self.arrow)

    def expression(self) -> sql.Composable:
        """What is selected of it, and hashed."""
        return sql.SQL("{}::text" if self.as_text else "{}").format(sql.Identifier(self.name))

    def received(self, sent: Any) -> Any:
        """A column of a file from what the server sent."""
        return sent if sent.type == self.arrow else sent.cast(self.arrow)

    def hashable(self, stored: Any) -> Any:
        """Integers, floats or bytes as PostgreSQL has the values of a file's column."""
        kind, subtract = stored.type, cast(Any, pc.subtract)
        if pa.types.is_timestamp(kind):
            return subtract(stored.view(pa.int64()), pa.scalar(_EPOCH_MICROSECONDS, pa.int64()))
        if pa.types.is_date(kind):
            return subtract(stored.view(pa.int32()), pa.scalar(_EPOCH_DAYS, pa.int32()))
        if pa.types.is_boolean(kind):
            return stored.cast(pa.int8())
        if pa.types.is_decimal(kind):
            return stored.cast(pa.string())
        return stored


def lake_columns(carriage: Carriage) -> tuple[LakeColumn, ...]:
    """The columns of a raw table, in order."""
    return tuple(_column(column.name, column.type_name) for column in carriage.columns)


def _column(name: str, type_name: str) -> LakeColumn:
    if type_name in _TYPES:
        return LakeColumn(name, type_name, *_TYPES[type_name])
    precision, scale = map(int, found.groups()) if (found := _NUMERIC.fullmatch(type_name)) else (0, 0)
    # Beyond, Arrow writes small values with an exponent, and PostgreSQL does not.
    if 0 < precision <= 38 and scale <= 6:
        return LakeColumn(name, type_name, pa.decimal128(precision, scale), "bytes", "dictionary", as_text=True)
    return LakeColumn(name, type_name, pa.string(), "bytes", "dictionary", as_text=True)


def schema_of(columns: Sequence[LakeColumn]) -> pa.Schema:
    """Of a file."""
    return pa.schema([pa.field(column.name, column.arrow) for column in columns])


def record_hash(columns: Sequence[LakeColumn]) -> sql.Composed:
    """SQL expression: PostgreSQL's hash of a row, as ``rowhash`` has it of a file's."""
    return sql.SQL("hash_record_extended(ROW({}), 0)").format(
        sql.SQL(", ").join(column.expression() for column in columns)
    )
