"""Databases for marts in a test, running dbt on them, and reading rows plainly.

What does not belong here: what a mart must say (``independent_marts``).
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from independence import Figures, IndependentMart, Row
from psycopg import conninfo, sql
from psycopg.rows import dict_row

from demo.servers import Servers
from resources.dbt import DBT_EXECUTABLE

PROJECT = Path(__file__).parents[1] / "dbt_project"


@dataclass(frozen=True)
class DbtRun:
    """What a dbt invocation said.

    Attributes:
        code: its exit code.
        output: what it printed.
        statuses: the status (success, pass, fail, error ...) of every node, by its name.
    """

    code: int
    output: str
    statuses: dict[str, str]


def run_dbt(dsn: str, artifacts: Path, *arguments: str, project: Path = PROJECT) -> DbtRun:
    """Run dbt of this environment on a warehouse.

    Args:
        dsn: the warehouse.
        artifacts: folder for what dbt writes.
        arguments: dbt's own.
        project: the dbt project.
    """
    results = artifacts / "target" / "run_results.json"
    results.unlink(missing_ok=True)
    parts = conninfo.conninfo_to_dict(dsn)
    environment = {
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_TARGET_PATH": str(artifacts / "target"),
        "DBT_LOG_PATH": str(artifacts / "logs"),
        "DRIVETRAIN_DBT_HOST": str(parts["host"]),
        "DRIVETRAIN_DBT_PORT": str(parts["port"]),
        "DRIVETRAIN_DBT_USER": str(parts["user"]),
        "DBT_ENV_SECRET_WAREHOUSE_PASSWORD": str(parts.get("password") or ""),
        "DRIVETRAIN_DBT_DATABASE": str(parts["dbname"]),
    }
    done = subprocess.run(
        [str(DBT_EXECUTABLE), "--no-use-colors", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    nodes: list[dict[str, Any]] = json.loads(results.read_text())["results"] if results.exists() else []
    statuses = {node["unique_id"].split(".")[-1]: node["status"] for node in nodes}
    return DbtRun(done.returncode, done.stdout + done.stderr, statuses)


@contextmanager
def fresh_database(servers: Servers, server: str) -> Generator[str]:
    """Connection string, as superuser, of a database that is dropped afterwards.

    Args:
        server: ``operational`` or ``warehouse``.
    """
    admin = servers.server(server).dsn("postgres")
    name = f"marts_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield conninfo.make_conninfo(admin, dbname=name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def plain_rows(
    connection: psycopg.Connection[Any], schema: str, table: str, columns: Sequence[str] = ()
) -> Iterator[Row]:
    """Every row of a table, as it is: all columns, or those named."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns)) if columns else sql.SQL("*")
    query = sql.SQL("SELECT {} FROM {}").format(names, sql.Identifier(schema, table))
    with connection.cursor(row_factory=dict_row) as cursor:
        yield from cursor.execute(query)


def mart_rows(connection: psycopg.Connection[Any], mart: str, key: str | tuple[str, ...]) -> Figures:
    """The rows of a mart, by its key."""
    return {
        row[key] if isinstance(key, str) else tuple(row[name] for name in key): dict(row)
        for row in plain_rows(connection, "marts", mart)
    }


def expected_rows(connection: psycopg.Connection[Any], independent: IndependentMart, schema: str = "public") -> Figures:
    """What a mart must hold, from the tables in a schema of the connection's database."""
    return independent.compute(lambda table: plain_rows(connection, schema, table, independent.tables[table]))
