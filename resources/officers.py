"""As whom an officer is signed in to the warehouse, and what officers do that is no request: holds and the audit log.

What does not belong here: requests (``resources.erasure``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from psycopg import errors, sql

from resources.keys import keys_file, load_keys
from resources.settings import Settings
from warehouse.catalog.model import System
from warehouse.errors import AccessDenied, ConfigurationError, RequestRefused
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.state import holds
from warehouse.state.audit import Break, Entry, head_kept, read_audit, verify_audit
from warehouse.state.holds import Hold, read_all_holds
from warehouse.state.requests import has_open_request

Role = Literal["requester", "approver", "auditor"]


@contextmanager
def signed_in(settings: Settings, role: Role) -> Generator[Connection]:
    """A session as the officer of ``DRIVETRAIN_OFFICER_DSN``, or as the embedded servers' login of a role.

    What was noted in the audit log meanwhile has its newest digest in the object store afterwards.

    Raises:
        AccessDenied: the officer's role may not do what is asked.
        ConfigurationError: there is no such login.
    """
    dsn = settings.officer(role)
    with translated("warehouse"), _refused(), connect(dsn, application=f"drivetrain {role}") as session:
        if not is_there(session, sql.Identifier("platform", "erasure_request")):
            raise ConfigurationError(
                "the warehouse knows no requests of persons yet",
                hint="Run `drivetrain ingest` once: it brings the warehouse up to date.",
            )
        with head_kept(session, settings.lake()):
            yield session


@contextmanager
def _refused() -> Generator[None]:
    """What the database's functions refuse, as the platform's own errors."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise AccessDenied(
            error.diag.message_primary or "the database refuses",
            hint="Nothing was changed. Sign in as an officer who may: DRIVETRAIN_OFFICER_DSN.",
        ) from error
    except (errors.RaiseException, errors.ObjectNotInPrerequisiteState, errors.NoDataFound) as error:
        raise RequestRefused(
            error.diag.message_primary or "the database refuses", hint="Nothing was changed."
        ) from error
    except errors.InvalidParameterValue as error:
        raise ConfigurationError(error.diag.message_primary or "the database refuses") from error


def list_holds(settings: Settings) -> list[Hold]:
    """Every hold that stands."""
    with signed_in(settings, "auditor") as session:
        return read_all_holds(session)


def add_hold(
    settings: Settings,
    system: str | None,
    table: str | None,
    person: str | None,
    reason: str,
    until: dt.datetime | None,
) -> int:
    """Place a hold on a person, a table, a system or everything; returns its number.

    Raises:
        ConfigurationError: the catalog or the system knows nothing of the kind.
    """
    if system is not None:
        _check(settings, settings.catalog().systems.get(system), system, table, person)
    elif table is not None or person is not None:
        raise ConfigurationError("a table or a person is of a system", hint="Name it: --system.")
    with signed_in(settings, "requester") as session:
        return holds.place_hold(session, system, table, person, reason, until)


def _check(settings: Settings, known: System | None, system: str, table: str | None, person: str | None) -> None:
    if known is None:
        systems = ", ".join(sorted(settings.catalog().systems))
        raise ConfigurationError(f"there is no system {system!r}", hint=f"There are: {systems}.")
    if table is not None and table not in known.tables:
        raise ConfigurationError(
            f"{system} has no table {table!r}", hint=f"`drivetrain catalog show {system}` lists its tables."
        )
    if person is None:
        return
    if known.person is None:
        raise ConfigurationError(f"{system} knows no persons", hint="Hold a table or the system.")
    live = connect(settings.primary(system), read_only=True, see_all_rows=True, application="drivetrain hold")
    with translated(system), live as source:
        found = _has_person(source, known.source_of(known.person.table), known.person.key, person)
    if not found:  # the account may be gone, and the rows in the warehouse and the lake still there
        with connect(settings.warehouse(), read_only=True, application="drivetrain hold") as warehouse:
            found = _has_person(warehouse, (known.raw_schema, known.person.table), known.person.key, person)
    if not found and not _is_asked_for(settings, system, person):
        raise ConfigurationError(
            f"{system} has no person of that key", hint="`drivetrain subject find` finds the key by mail or telephone."
        )


def _is_asked_for(settings: Settings, system: str, person: str) -> bool:
    """Whether a request that is not over is about a person, of whom there may be rows in the lake alone by now."""
    if not keys_file(settings).exists():
        return False
    digests = load_keys(settings).digests(f"person of {system}", person)
    with signed_in(settings, "requester") as session:
        return has_open_request(session, system, digests)


def _has_person(connection: Connection, table: tuple[str, str], key: str, person: str) -> bool:
    relation = sql.Identifier(*table)
    if not is_there(connection, relation):
        return False
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {}::text = %s)").format(relation, sql.Identifier(key))
    return bool(connection.execute(query, (person,)).fetchall()[0][0])


def release_hold(settings: Settings, hold: int, why: str) -> None:
    """End a hold that stands, as an approver."""
    with signed_in(settings, "approver") as session:
        holds.release_hold(session, hold, why)


def audit_log(settings: Settings, request: int | None = None) -> list[Entry]:
    """Entries in order; of one request, if it is named."""
    with signed_in(settings, "auditor") as session:
        return read_audit(session, request)


def check_audit(settings: Settings) -> tuple[int, list[Break]]:
    """Compute the audit log's chain anew, and hold it against the object store; the entries read, and what is wrong."""
    with signed_in(settings, "auditor") as session:
        return verify_audit(session, settings.lake())
