"""Run a query over warehouse and lake, in one moment of both.

The ledger and the raw tables are read in one snapshot of the warehouse, and files of the lake never change: so a month
that moves meanwhile is read once, from where it was. Hot rows are those of the last ingestion. Rows of persons whose
data may not be used for now are left out where rows are read, before anything is computed of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from psycopg import sql

from warehouse.catalog import Catalog
from warehouse.catalog.periods import shifted
from warehouse.errors import ConfigurationError, StatementRefused
from warehouse.lake.columns import LakeColumn, lake_columns, schema_of
from warehouse.lake.layout import layout_of
from warehouse.lake.store import Store
from warehouse.postgres.arrow import arrow_cursor
from warehouse.postgres.carriage import Carriage, CarriedColumn
from warehouse.postgres.introspection import read_tables
from warehouse.postgres.persons import fitting_values, rows_about
from warehouse.postgres.sessions import Connection, Dsn
from warehouse.reading.scans import Condition, Scan, plan_query
from warehouse.state.moves import extent_of_lake, files_in_lake, months_in_lake
from warehouse.state.restrictions import hidden_values

#: Extensions would be fetched from elsewhere in the middle of a query.
_ENGINE: Any = {"threads": "2", "autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


@dataclass(frozen=True)
class Answer:
    """What a query gave.

    Attributes:
        rows: as Arrow has them.
        files, bytes: of the lake that were looked into.
        all_files, all_bytes: of the tables that were asked for.
    """

    rows: pa.Table
    files: int
    bytes: int
    all_files: int
    all_bytes: int


def run_query(connection: Connection, dsn: Dsn, catalog: Catalog, root: Store, text: str) -> Answer:
    """Answer a SELECT over ``system.table`` names.

    Args:
        connection: a canonical session of the warehouse, outside of any transaction.
        dsn: of the same, for the session that sends rows.
        catalog: whose tables.
        root: of the lake.
        text: the query, in DuckDB's dialect.

    Raises:
        ConfigurationError: it cannot be understood, or DuckDB refuses it.
        LakeUnavailable: a file cannot be read.
    """
    import duckdb

    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        tables = _tables(connection, catalog)
        query, scans = plan_query(text, _types(tables))
        ((snapshot,),) = connection.execute("SELECT pg_export_snapshot()").fetchall()
        engine: Any = duckdb.connect(config=_ENGINE)
        counts = [0, 0, 0, 0]
        try:
            for scan in scans:
                columns = [column for column in tables[scan.system][scan.table] if column.name in scan.columns]
                _register(engine, connection, dsn, snapshot, catalog, root, scan, columns, tables, counts)
            try:
                rows = engine.sql(query).to_arrow_table()
            except duckdb.Error as error:
                raise ConfigurationError(f"the query cannot be run: {str(error).splitlines()[0]}") from None
        finally:
            engine.close()
    return Answer(rows, *counts)


def _tables(connection: Connection, catalog: Catalog) -> dict[str, dict[str, tuple[LakeColumn, ...]]]:
    """What the warehouse has, with the types that it has in the lake."""
    found: dict[str, dict[str, tuple[LakeColumn, ...]]] = {}
    schemas = {system.raw_schema: name for name, system in catalog.systems.items()}
    for (schema, table), live in read_tables(connection, list(schemas)).items():
        if table in catalog.systems[schemas[schema]].tables:
            carried = tuple(CarriedColumn(column.name, sql.SQL(""), column.type.carrier) for column in live.columns)
            found.setdefault(schemas[schema], {})[table] = lake_columns(Carriage(carried))
    return found


def _types(tables: Mapping[str, Mapping[str, Sequence[LakeColumn]]]) -> dict[str, dict[str, dict[str, str]]]:
    return {
        system: {table: {column.name: column.type_name for column in columns} for table, columns in of.items()}
        for system, of in tables.items()
    }


def _register(
    engine: Any,
    connection: Connection,
    dsn: Dsn,
    snapshot: str,
    catalog: Catalog,
    root: Store,
    scan: Scan,
    columns: Sequence[LakeColumn],
    tables: Mapping[str, Mapping[str, Sequence[LakeColumn]]],
    counts: list[int],
) -> None:
    """Let the engine know a scan by its name: rows of the warehouse, and of the lake's files that may have some."""
    everything = tables[scan.system][scan.table]
    chosen = list(columns) or [everything[0]]
    schema = _told(chosen)
    values = hidden_values(connection, catalog.systems[scan.system], scan.table)
    hidden = {column.name: values[column.name] for column in everything if column.name in values}
    warm = _warm(connection, dsn, snapshot, catalog, scan, chosen, everything, hidden)
    engine.register(f"{scan.name}_warm", pa.Table.from_batches(warm, schema))
    parts = [f'SELECT * FROM "{scan.name}_warm"']
    paths = _files(connection, catalog, scan, everything, counts)
    if paths:
        store = root.under(scan.system, scan.table)
        engine.register(f"{scan.name}_cold", _cold(store, paths, scan, chosen, everything, hidden))
        parts.append(f'SELECT * FROM "{scan.name}_cold"')
    engine.execute(f'CREATE VIEW "{scan.name}" AS {" UNION ALL ".join(parts)}')


def _cold(
    store: Store, paths: Sequence[str], scan: Scan, columns: Sequence[LakeColumn], everything: Sequence[LakeColumn],
    hidden: Mapping[str, Set[str]],
) -> pa.RecordBatchReader:  # fmt: skip
    """The lake's rows, with the conditions applied where they are read."""
    dataset: Any = ds.dataset(
        [f"{store.root}/{path}" for path in paths],
        filesystem=store.file_system(),
        format="parquet",
        schema=schema_of(everything),
    )
    by_name = {column.name: column for column in everything}
    wanted: Any = None
    shown = [_without(by_name[name], values) for name, values in hidden.items()]
    for each in [*shown, *(_filter(by_name[condition.column], condition) for condition in scan.conditions)]:
        if each is not None:
            wanted = each if wanted is None else wanted & each
    scanner = dataset.scanner(columns=[column.name for column in columns], filter=wanted)
    told = _told(columns)
    return pa.RecordBatchReader.from_batches(told, (batch.cast(told) for batch in scanner.to_batches()))


def _filter(column: LakeColumn, condition: Condition) -> Any:
    """The condition for pyarrow; None where a constant is not of the column's type: the engine judges then."""
    try:
        values = pa.array([_constant(column, value) for value in condition.values], column.arrow)
    except (ValueError, TypeError, ArithmeticError, pa.ArrowException):
        return None
    field: Any = ds.field(column.name)
    if condition.operator == "=":
        return field.isin(values)
    compare = {"<": field.__lt__, "<=": field.__le__, ">": field.__gt__, ">=": field.__ge__}
    return compare[condition.operator](values[0])


def _without(column: LakeColumn, values: Set[str]) -> Any:
    """For pyarrow: rows that do not have one of these values; those that have none stay."""
    fitting = fitting_values(column.name, column.type_name, values)
    field: Any = ds.field(column.name)
    return ~field.isin(pa.array([_constant(column, value) for value in fitting], column.arrow))


def _constant(column: LakeColumn, value: Any) -> Any:
    kind = column.arrow
    if pa.types.is_timestamp(kind):
        moment = dt.datetime.fromisoformat(str(value))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return moment if kind.tz else moment.astimezone(dt.UTC).replace(tzinfo=None)
    if pa.types.is_date(kind):
        return dt.date.fromisoformat(str(value))
    if pa.types.is_decimal(kind):
        return Decimal(str(value))
    if pa.types.is_string(kind):
        return str(value)
    if pa.types.is_integer(kind):
        return int(str(value))
    if pa.types.is_float64(kind):
        return float(value)
    raise ValueError


def _files(
    connection: Connection, catalog: Catalog, scan: Scan, columns: Sequence[LakeColumn], counts: list[int]
) -> list[str]:
    """The lake's files that may have rows of interest: by month, and by bucket of the subject."""
    policy = catalog.systems[scan.system].tables[scan.table]
    types = {column.name: column.type_name for column in columns}
    layout = layout_of(policy, types)
    subjects = scan.subjects(layout.subject)
    buckets = None
    if subjects is not None and all(isinstance(value, int if layout.whole else str) for value in subjects):
        buckets = {layout.bucket_of(value) for value in subjects if not isinstance(value, float)}
    months = [
        month
        for month in months_in_lake(connection, scan.system, scan.table)
        if policy.time is None
        or scan.within(
            policy.time,
            *(dt.datetime.combine(day, dt.time(), dt.UTC) for day in (month, shifted("month", month, 1))),
        )
    ]
    files = files_in_lake(connection, scan.system, scan.table, months, buckets, layout.rule)
    looked = (len(files), sum(size for _, size in files), *extent_of_lake(connection, scan.system, scan.table))
    counts[:] = [before + more for before, more in zip(counts, looked, strict=True)]
    return [path for path, _ in files]


def _warm(
    connection: Connection,
    dsn: Dsn,
    snapshot: str,
    catalog: Catalog,
    scan: Scan,
    columns: Sequence[LakeColumn],
    everything: Sequence[LakeColumn],
    hidden: Mapping[str, Set[str]],
) -> list[pa.RecordBatch]:
    """The warehouse's rows, with the conditions applied there."""
    by_name = {column.name: column for column in everything}
    conditions: list[sql.Composable] = [_condition(by_name[each.column], each) for each in scan.conditions]
    if hidden:
        conditions.append(
            sql.SQL("({}) IS NOT TRUE").format(rows_about({name: by_name[name].type_name for name in hidden}, hidden))
        )
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(column.expression(), sql.Identifier(column.name)) for column in columns
        ),
        sql.Identifier(catalog.systems[scan.system].raw_schema, scan.table),
        sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
    )
    try:
        with arrow_cursor(dsn, snapshot) as cursor:
            cursor.execute(query.as_string(connection))
            names = [column.name for column in columns]
            return [
                pa.record_batch([column.received(batch.column(column.name)) for column in columns], names=names).cast(
                    _told(columns)
                )
                for batch in cursor.fetch_record_batch()
            ]
    except StatementRefused as error:
        raise ConfigurationError(f"{scan.system}.{scan.table} cannot be read so: {error.message}") from None


def _condition(column: LakeColumn, condition: Condition) -> sql.Composed:
    """On the column as the lake has it: an enum or a uuid is a text there."""
    text = pa.types.is_string(column.arrow)
    compared = column.expression() if text else sql.Identifier(column.name)
    kind = sql.SQL("text" if text else column.type_name)  # type: ignore[arg-type]  # format_type() output
    values = [sql.SQL("{}::{}").format(sql.Literal(str(value)), kind) for value in condition.values]
    if condition.operator == "=":
        return sql.SQL("{} IN ({})").format(compared, sql.SQL(", ").join(values))
    return sql.SQL("{} {} {}").format(compared, sql.SQL(condition.operator), values[0])


def _told(columns: Sequence[LakeColumn]) -> pa.Schema:
    """Columns as the engine has them: times in UTC without a zone, for which it would need an extension."""
    return pa.schema(
        [
            pa.field(column.name, pa.timestamp("us") if pa.types.is_timestamp(column.arrow) else column.arrow)
            for column in columns
        ]
    )
