"""The source's table before it is read: held still, the one that the snapshot knows, and as its policy says."""

from __future__ import annotations

from psycopg import errors, sql

from warehouse.catalog.model import System, Table
from warehouse.errors import CatalogMismatch, SourceInterrupted, UnsupportedType
from warehouse.ingest import sql as queries
from warehouse.postgres.introspection import LiveTable, read_table
from warehouse.postgres.matching import as_declared, is_key, same_type
from warehouse.postgres.sessions import Connection, translated
from warehouse.state.ledger import Origin


def open_source(where: str, source: Connection, system: System, name: str, origin: Origin) -> LiveTable:
    """The live table, from now on locked against DDL.

    Args:
        where: what an error names.
        source: a session under the snapshot.
        system, name: whose table.
        origin: of the snapshot.

    Raises:
        CatalogMismatch: it is away, or not what the policy says.
        SourceInterrupted: to the snapshot it is empty, because it was remade since.
    """
    live = as_declared(_hold_still(where, source, *system.source_of(name), origin), system.tables[name])
    refuse_other(where, live, system.tables[name])
    return live


def refuse_other(where: str, live: LiveTable, policy: Table) -> None:
    """Refuse a live table that is not as its policy says.

    Raises:
        CatalogMismatch: with all that differs.
    """
    problems = [line for column in policy.columns if (line := _column_problem(policy, live, column)) is not None]
    if policy.key and not is_key(policy, live):
        has = f", which has ({', '.join(live.primary_key)})" if live.primary_key else ""
        problems.append(f"key ({', '.join(policy.key)}) is no primary or unique key of the source's table{has}")
    if problems:
        raise CatalogMismatch(
            "\n".join(f"{where}: {line}" for line in problems), hint="Run `drivetrain catalog check`."
        )


def check_encoding(where: str, connection: Connection) -> None:
    """Refuse a database that cannot be compared byte by byte.

    Raises:
        UnsupportedType: it is not UTF8.
    """
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise UnsupportedType(
            f"{where}: the database's encoding is {encoding}",
            hint="Only UTF8 databases can be compared byte by byte: convert it.",
        )


def _hold_still(where: str, source: Connection, schema: str, name: str, origin: Origin) -> LiveTable:
    """The source's table, from now on locked against DDL, and sure to be the one that the snapshot knows."""
    relation = sql.Identifier(schema, name)
    with translated(f"{where} (source)"):
        try:
            source.execute(queries.hold_still(relation))
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            live = None
        else:
            remade = source.execute(queries.REMADE, {"name": relation.as_string(source)}).fetchall()
            if remade:
                raise SourceInterrupted(
                    f"{where} (source): {', '.join(row[0] for row in remade)} was truncated, rewritten or put in place"
                    f" after the snapshot of {origin.as_of:%Y-%m-%d %H:%M:%S} UTC, which would see it empty",
                    hint="Run again, with a new snapshot.",
                )
            live = read_table(source, schema, name)
    if live is None:
        raise CatalogMismatch(
            f"{where}: the source has no table {schema}.{name}",
            hint="Run `drivetrain catalog check`; was it renamed or dropped, or may this role not see it?",
        )
    return live


def _column_problem(policy: Table, live: LiveTable, column: str) -> str | None:
    found = live.column(column)
    if found is None:
        return f"column {column!r} is declared, and the source has none of that name"
    declared = policy.columns[column].type
    if not same_type(declared, found):
        return f"column {column!r} is {found.type.name} at the source, and declared as {declared}"
    return None
