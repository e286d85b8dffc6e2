"""Open sessions, and turn the driver's errors into the platform's own.

What belongs here: the session settings that make two servers print a value alike, and the one place where a
psycopg error becomes a ``DrivetrainError``. What does not: SQL of any verb.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import conninfo, errors

from warehouse.errors import (
    AccessDenied,
    Busy,
    CatalogMismatch,
    ConfigurationError,
    DrivetrainError,
    ServerUnavailable,
    SourceInterrupted,
)

Connection = psycopg.Connection[tuple[Any, ...]]

#: Settings under which equal values print alike on every server; fingerprints and COPY text rely on them.
CANONICAL = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "lc_monetary": "C",
}
#: Those of them that a session reports, and that libpq overrides from the environment (PGTZ, PGDATESTYLE).
_REPORTED = {"timezone": "TimeZone", "datestyle": "DateStyle", "intervalstyle": "IntervalStyle"}


@dataclass(frozen=True)
class Dsn:
    """A connection string whose password shows in no repr, log or message.

    Args:
        text: a libpq URI or keyword string.
        label: what the reader knows it by, e.g. ``DRIVETRAIN_SHOP_DSN``.

    Raises:
        ConfigurationError: the text is no connection string.
    """

    text: str = field(repr=False)
    label: str = "database"

    def __post_init__(self) -> None:
        try:
            parameters = conninfo.conninfo_to_dict(self.text)
        except psycopg.ProgrammingError:
            # The driver's message may quote the string, password and all.
            raise ConfigurationError(
                f"{self.label} is not a PostgreSQL connection string",
                hint="Write postgresql://user:password@host:port/database",
            ) from None
        if not parameters:
            raise ConfigurationError(
                f"{self.label} is empty", hint="Write postgresql://user:password@host:port/database"
            )
        # A password with a bare @ or / is cut there, and its rest would be shown as a host, port or database.
        place = [str(parameters.get(part) or "") for part in ("host", "hostaddr", "dbname")]
        if any("@" in part[1:] for part in place) or not set(str(parameters.get("port") or "")) <= set("0123456789,"):
            raise ConfigurationError(
                f"{self.label}: its host, port or database cannot be meant like this",
                hint="In a URI, write @ : / ? # and % of a password as %40 %3A %2F %3F %23 and %25.",
            )

    @property
    def parameters(self) -> dict[str, Any]:
        """The parts of the connection string, password included."""
        return dict(conninfo.conninfo_to_dict(self.text))

    def __str__(self) -> str:
        parts = self.parameters
        place = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
        return f"{parts.get('user', '')}@{place}" if parts.get("user") else place


@contextmanager
def connect(
    dsn: Dsn,
    *,
    read_only: bool = False,
    see_all_rows: bool = False,
    lock_timeout: str | None = None,
    application: str = "drivetrain",
) -> Generator[Connection]:
    """A session with canonical settings, closed at the end; a transaction is committed only by its own block.

    Args:
        dsn: where to.
        read_only: every transaction of the session is read-only.
        see_all_rows: set ``row_security = off``, so that a table whose policies would hide rows from this role
            is an error instead of a silently shorter answer.
        lock_timeout: how long to wait for somebody else's lock, e.g. ``60s``; by default as the server has it.
        application: shown in ``pg_stat_activity``.

    Raises:
        ServerUnavailable: nothing answers, or the server is starting, stopping or full.
        AccessDenied: the server refuses the role, password or database.
    """
    options = {**CANONICAL}
    if read_only:
        options["default_transaction_read_only"] = "on"
    if see_all_rows:
        options["row_security"] = "off"
    if lock_timeout is not None:
        options["lock_timeout"] = lock_timeout
    # Merged here, because a DSN may carry options of its own.
    given = str(dsn.parameters.get("options") or "")
    switches = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in options.items())
    try:
        connection = psycopg.connect(
            dsn.text,
            autocommit=True,
            application_name=application,
            connect_timeout=int(dsn.parameters.get("connect_timeout") or 10),
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            client_encoding="utf8",
            options=f"{given} {switches}".strip(),
        )
    except psycopg.Error as error:
        raise _connection_error(dsn, error) from None
    try:
        with translated(dsn.label):
            for name, reported in _REPORTED.items():
                if connection.info.parameter_status(reported) != CANONICAL[name]:
                    connection.execute("SELECT set_config(%s, %s, false)", (name, CANONICAL[name]))
        yield connection
    finally:
        connection.close()


def _connection_error(dsn: Dsn, error: psycopg.Error) -> DrivetrainError:
    """libpq gives no SQLSTATE for a refused session, only text; what the server itself said follows ``FATAL:``."""
    text = str(error).strip()
    _, fatal, said = text.partition("FATAL:")
    if not fatal:
        return ServerUnavailable(
            f"{dsn.label}: no answer from {dsn}: {text.splitlines()[0] if text else type(error).__name__}",
            hint="Is the server up and the address right? The embedded ones start with `drivetrain servers up`.",
        )
    said = said.strip().splitlines()[0]
    if any(sign in said for sign in ("starting up", "shutting down", "too many", "connection slots", "recovery")):
        return ServerUnavailable(
            f"{dsn.label}: {dsn} is not ready: {said}", hint="It may be a moment later: try again."
        )
    return AccessDenied(f"{dsn.label}: {dsn} refused: {said}", hint="Check user, password and database name.")


@contextmanager
def translated(where: str) -> Generator[None]:
    """Turn what psycopg raises inside the block into the platform's own errors.

    Args:
        where: what was being worked on, e.g. ``logistics.orders (source)``.
    """
    try:
        yield
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        raise Busy(
            f"{where}: somebody else holds a lock: {_said(error)}", hint="Nothing was changed. Try again."
        ) from error
    except errors.QueryCanceled as error:
        raise SourceInterrupted(f"{where}: the server cancelled the statement: {_said(error)}") from error
    except errors.SerializationFailure as error:
        raise SourceInterrupted(
            f"{where}: the server gave up a long read: {_said(error)}",
            hint="On a replica: raise max_standby_streaming_delay or set hot_standby_feedback = on.",
        ) from error
    except errors.InsufficientPrivilege as error:
        raise AccessDenied(
            f"{where}: {_said(error)}",
            hint="Ingestion reads need SELECT, and BYPASSRLS where a table has row-level security.",
        ) from error
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName) as error:
        raise CatalogMismatch(f"{where}: {_said(error)}", hint="Run `drivetrain catalog check`.") from error
    except (errors.DiskFull, errors.InsufficientResources) as error:
        raise ServerUnavailable(
            f"{where}: the server is out of room: {_said(error)}", hint="Nothing was kept."
        ) from error
    except errors.DependentObjectsStillExist as error:
        raise CatalogMismatch(
            f"{where}: {_said(error)}: {error.diag.message_detail}",
            hint="A view still reads it. Staging of before: `drivetrain catalog render`, `drivetrain build`, then"
            " ingest again. Another view: change or drop it first.",
        ) from error
    except (errors.DuplicateTable, errors.DuplicateObject) as error:
        raise CatalogMismatch(f"{where}: {_said(error)}", hint="Two things want this name: rename one.") from error
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        # Not chained: the driver's message quotes the row.
        raise DrivetrainError(
            f"{where}: the server refused a row: {_said(error)}", hint="Nothing of it was kept."
        ) from None
    except psycopg.OperationalError as error:
        raise ServerUnavailable(
            f"{where}: the connection was lost: {_said(error)}", hint="Nothing was kept."
        ) from error
    except psycopg.Error as error:
        raise DrivetrainError(f"{where}: the server refused: {_said(error)}", hint="Nothing of it was kept.") from error


def _said(error: psycopg.Error) -> str:
    """The server's primary message, without the row values that a DETAIL line may carry."""
    return error.diag.message_primary or str(error).strip().splitlines()[0]
