"""Restriction of processing: whose rows no reader is shown, though they are kept, ingested and tiered like all others.

A restriction is noted by keys, as tombstones are, but plain: of the person, and of each row on the way to rows of
theirs. The masked views of dbt leave such rows out, and so does whoever reads tiers for somebody. It ends with its
request, which the database sees to (migration 0013).

What does not belong here: which keys lead to a person (``warehouse.erasure.scope``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.errors import RequestRefused
from warehouse.postgres.persons import column_types
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection

_ADD = sql.SQL("INSERT INTO platform.restriction (system, table_name, column_name, value, request) ")


@dataclass(frozen=True)
class Restricted:
    """What one request hides of one system: by how many keys, and since when."""

    request: int
    system: str
    since: dt.datetime
    keys: int


def restrict(connection: Connection, request: int, system: str, keys: Mapping[tuple[str, str], Set[str]]) -> int:
    """As the operator: show nobody rows with these keys until the request ends; returns how many are new.

    Args:
        connection: of the warehouse.
        request: by which.
        system: whose.
        keys: values as text, by table and column that they are the key of.

    Raises:
        RequestRefused: the request has ended.
    """
    if request not in _keep_going(connection, sql.SQL("q.id = {}").format(sql.Literal(request))):
        raise RequestRefused(f"request {request} has ended", hint="Nobody was hidden by it.")
    return sum(
        connection.execute(
            _ADD + sql.SQL("SELECT %s, %s, %s, value, %s FROM unnest(%s::text[]) AS v (value) ON CONFLICT DO NOTHING"),
            (system, *target, request, sorted(values)),
        ).rowcount
        for target, values in sorted(keys.items())
    )


def _keep_going(connection: Connection, which: sql.Composable) -> list[int]:
    """Requests that have not ended, and do not end before this transaction: else what it hides would stay hidden."""
    query = sql.SQL(
        "SELECT q.id FROM platform.erasure_request AS q WHERE {} AND NOT platform.request_ended(q.state) FOR SHARE OF q"
    ).format(which)
    return [request for (request,) in connection.execute(query)]


def end_restriction(connection: Connection, request: int, why: str) -> None:
    """As an approver who did not file it: show the rows again."""
    connection.execute("SELECT platform.end_restriction(%s, %s)", (request, why))


def read_restricted(connection: Connection) -> list[Restricted]:
    """What is hidden now, by request and system."""
    rows = connection.execute("SELECT request, system, since, keys FROM platform.restricted ORDER BY 1, 2")
    return [Restricted(*row) for row in rows]


def views_that_show_all(connection: Connection) -> set[str]:
    """Masked views that leave nobody out: they have no rows of persons, or are older than restrictions are."""
    rows = connection.execute(
        "WITH RECURSIVE stands_on (name, relation) AS ("
        " SELECT name, to_regclass(name)::oid FROM platform.model_view WHERE starts_with(name, 'masked.')"
        " UNION SELECT s.name, d.refobjid FROM stands_on AS s JOIN pg_rewrite AS r ON r.ev_class = s.relation"
        " JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid"
        " AND d.refclassid = 'pg_class'::regclass)"
        " SELECT split_part(name, '.', 2) FROM stands_on GROUP BY name"
        " HAVING bool_and(relation IS DISTINCT FROM 'platform.restriction'::regclass)"
    )
    return {name for (name,) in rows}


def hidden_values(connection: Connection, system: System, table: str) -> dict[str, frozenset[str]]:
    """Rows that a reader is not shown: the values, as text, by subject column of the table."""
    if not is_there(
        connection, sql.Identifier("platform", "restriction")
    ):  # a warehouse of before: nobody can be restricted in it
        return {}
    found: dict[tuple[str, str], set[str]] = {}
    for of_table, column, value in connection.execute(
        "SELECT table_name, column_name, value FROM platform.restriction WHERE system = %s", (system.system,)
    ):
        found.setdefault((of_table, column), set()).add(value)
    hidden: dict[str, frozenset[str]] = {}
    for subject in system.tables[table].subjects:
        if values := found.get(system.target_of(subject)):
            hidden[subject.column] = hidden.get(subject.column, frozenset()) | values
    return hidden


def follow_restricted(connection: Connection, relation: sql.Identifier, system: System, table: str) -> None:
    """What leads to restricted persons over rows that came in is restricted with them: upkeep, by a bike that is new.

    Args:
        connection: of the warehouse, in the transaction that writes.
        relation: the rows.
        system, table: whose policy says the ways to a person.
    """
    leading = [name for name, policy in system.tables.items() if any(each.table == table for each in policy.subjects)]
    if not leading:
        return
    of_system = sql.SQL("EXISTS (SELECT FROM platform.restriction AS r WHERE r.request = q.id AND r.system = {})")
    requests = _keep_going(connection, of_system.format(sql.Literal(system.system)))
    if requests and _follow(connection, relation, system, table, requests):
        for name in leading:  # rows that lead over these may have been there before them
            there = sql.Identifier(system.raw_schema, name)
            if is_there(connection, there):
                follow_restricted(connection, there, system, name)


def _follow(
    connection: Connection, relation: sql.Identifier, system: System, table: str, requests: Sequence[int]
) -> int:
    """Keys of the rows, which others lead over, of rows that lead to a restricted person; returns how many are new."""
    columns = column_types(connection, relation)
    keys = {system.target_of(each) for policy in system.tables.values() for each in policy.subjects}
    added = 0
    for key in sorted(column for of, column in keys if of == table and column in columns):
        for subject in (each for each in system.tables[table].subjects if each.column in columns):
            of_table, of_column = system.target_of(subject)
            added += connection.execute(
                _ADD
                + sql.SQL(
                    "SELECT DISTINCT {system}, {table}, {key}, received.{key_column}::text, r.request"
                    " FROM {relation} AS received JOIN platform.restriction AS r ON r.value = received.{subject}::text"
                    " WHERE r.system = {system} AND r.table_name = {of_table} AND r.column_name = {of_column}"
                    " AND r.request = ANY({requests}) AND received.{key_column} IS NOT NULL ON CONFLICT DO NOTHING"
                ).format(
                    **{
                        name: sql.Literal(value)
                        for name, value in {
                            "system": system.system, "table": table, "key": key, "of_table": of_table,
                            "of_column": of_column, "requests": list(requests),
                        }.items()
                    },
                    key_column=sql.Identifier(key),
                    subject=sql.Identifier(subject.column),
                    relation=relation,
                )
            ).rowcount  # fmt: skip
    return added
