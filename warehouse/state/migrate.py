"""Bring the platform schema of a warehouse to the version that this code needs.

Each file ``migrations/NNNN_name.sql`` is applied once, in order, in a transaction of its own with its record. A file
that changed after it was applied, or a warehouse that is ahead of this code, is refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from psycopg import sql

from warehouse.errors import ConfigurationError
from warehouse.postgres.sessions import Connection, translated

MIGRATIONS = Path(__file__).parent / "migrations"

_PREPARE = """
CREATE SCHEMA IF NOT EXISTS platform;
CREATE TABLE IF NOT EXISTS platform.migration (
    version int PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""


def migrate(connection: Connection, directory: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing; safe to call at once from several processes.

    Returns:
        Names of the migrations applied now.

    Raises:
        ConfigurationError: an applied file was edited, or the warehouse is newer than this code.
    """
    files = {int(path.name.split("_")[0]): path for path in sorted(directory.glob("*.sql"))}
    applied: list[str] = []
    with translated("warehouse migrations"), connection.transaction():
        # One lock for the whole: two processes that start together must not both apply.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('drivetrain migrations', 0))")
        connection.execute(_PREPARE)
        done = dict(connection.execute("SELECT version, sha256 FROM platform.migration").fetchall())
        unknown = sorted(set(done) - set(files))
        if unknown:
            raise ConfigurationError(
                f"the warehouse has migration {unknown[-1]}, which this version of Drivetrain does not know",
                hint="Update Drivetrain; an older version must not write to this warehouse.",
            )
        for version, path in sorted(files.items()):
            text = path.read_text(encoding="utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            if version in done:
                if done[version] != digest:
                    raise ConfigurationError(
                        f"migration {path.name} was changed after it was applied",
                        hint="Restore it; add a new file instead.",
                    )
                continue
            connection.execute(sql.SQL(text))  # type: ignore[arg-type]  # a file of this package
            connection.execute(
                "INSERT INTO platform.migration (version, name, sha256) VALUES (%s, %s, %s)",
                (version, path.stem, digest),
            )
            applied.append(path.stem)
    return applied
