"""dbt as the platform calls it, the command ``drivetrain-dbt``: what PostgreSQL says of rows reaches no log.

When a model breaks a constraint of its contract, PostgreSQL's error quotes the row in its DETAIL, and dbt prints the
error to its output, its log, its results and, by way of Dagster, to alerts. Names of people have no business there.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


def without_detail(said: str) -> str:
    """An error of PostgreSQL as libpq words it, without DETAIL and what follows: these may quote values of rows."""
    return said.partition("\nDETAIL:")[0]


def main() -> None:
    """Run dbt's command line."""
    import psycopg2
    from dbt.adapters.postgres.connections import PostgresConnectionManager
    from dbt.cli.main import cli

    original: Any = PostgresConnectionManager.exception_handler

    @contextmanager
    def exception_handler(self: PostgresConnectionManager, sql: str) -> Generator[None]:
        with original(self, sql):
            try:
                yield
            except psycopg2.Error as error:
                raise type(error)(without_detail(str(error))) from None

    PostgresConnectionManager.exception_handler = exception_handler  # type: ignore[method-assign]
    cli()
