"""Roles, passwords and databases of a running cluster, and the replica's slot.

Every step asks first what is there, so that a run that was killed between two steps is completed by the next.
What does not belong here: the applications' tables.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from demo.servers.cluster import connect
from demo.servers.model import (
    ANALYST,
    CAPTURER,
    DATABASES,
    MAINTAINER,
    OFFICERS,
    OPERATIONAL,
    ORCHESTRATOR,
    PLATFORM,
    READER,
    REPLICATION,
    SLOT,
    SUPERUSER,
    VERIFIER,
    WAREHOUSE,
    Server,
)

#: What a superuser runs on any warehouse: the role of analysts, and what everybody may do no longer.
ANALYST_SQL = Path(__file__).parents[2] / "warehouse" / "state" / "analyst.sql"
#: And the roles of those who handle requests of persons.
OFFICERS_SQL = ANALYST_SQL.with_name("officers.sql")
#: And the role of who verifies an erasure.
VERIFIER_SQL = ANALYST_SQL.with_name("verifier.sql")

# BYPASSRLS: otherwise row-level security would hide rows from ingestion without any error.
ATTRIBUTES: Mapping[str, LiteralString] = {
    READER: "LOGIN BYPASSRLS",
    # What it may do follows from the owners that it is a member of (demo.generate).
    MAINTAINER: "LOGIN",
    CAPTURER: "LOGIN REPLICATION",
    REPLICATION: "LOGIN REPLICATION",
    PLATFORM: "LOGIN",
    ORCHESTRATOR: "LOGIN",
    ANALYST: "LOGIN",
    **dict.fromkeys(OFFICERS, "LOGIN"),
    VERIFIER: "LOGIN BYPASSRLS",
}
OWNERS: Mapping[str, str] = {"warehouse": PLATFORM, "dagster": ORCHESTRATOR}
ROLES_OF: Mapping[str, tuple[str, ...]] = {
    OPERATIONAL: (READER, MAINTAINER, CAPTURER, REPLICATION),
    WAREHOUSE: (PLATFORM, ORCHESTRATOR, ANALYST, *OFFICERS, VERIFIER),
}


def provide(server: Server) -> None:
    """Make what is missing of a primary's roles and databases."""
    with connect(server, "postgres") as connection:
        for role in ROLES_OF[server.name]:
            if not _exists(connection, "SELECT FROM pg_roles WHERE rolname = %s", role):
                _create_role(connection, role, server.passwords[role])
        for database in DATABASES[server.name]:
            owner = OWNERS.get(database, SUPERUSER)
            if not _exists(connection, "SELECT FROM pg_database WHERE datname = %s", database):
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(owner))
                )
            if server.name == OPERATIONAL:
                for role in (READER, MAINTAINER, CAPTURER):
                    _let_connect(connection, database, role)
        if server.name == WAREHOUSE:
            # Analysts have no business there, and would otherwise come in as everybody does.
            connection.execute("REVOKE CONNECT, TEMPORARY ON DATABASE dagster, postgres, template1 FROM PUBLIC")
            _let_connect(connection, "dagster", VERIFIER)
    if server.name == WAREHOUSE:
        with connect(server, "warehouse") as connection:
            connection.execute(ANALYST_SQL.read_bytes())
            connection.execute(OFFICERS_SQL.read_bytes())
            connection.execute(VERIFIER_SQL.read_bytes())
            connection.execute(sql.SQL("GRANT drivetrain_verifier TO {}").format(sql.Identifier(VERIFIER)))
            for officer in OFFICERS:
                role = sql.Identifier(f"drivetrain_{officer}")
                connection.execute(sql.SQL("GRANT {} TO {}").format(role, sql.Identifier(officer)))


def slot_is_usable(primary: Server) -> bool:
    """False if the slot is missing, or if the log it needs is gone (``max_slot_wal_keep_size``)."""
    with connect(primary, "postgres") as connection:
        usable = "SELECT FROM pg_replication_slots WHERE slot_name = %s AND wal_status IS DISTINCT FROM 'lost'"
        return _exists(connection, usable, SLOT)


def make_slot(primary: Server) -> None:
    """A fresh slot that keeps the log from now on."""
    with connect(primary, "postgres") as connection:
        # A copy that was killed may still hold the old one: its sender has not noticed yet.
        connection.execute(
            "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots "
            "WHERE slot_name = %s AND active_pid IS NOT NULL",
            [SLOT],
        )
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [SLOT]
        )
        connection.execute("SELECT pg_create_physical_replication_slot(%s, immediately_reserve => true)", [SLOT])


def _scram_secret(password: str, iterations: int) -> str:
    """The SCRAM-SHA-256 verifier (RFC 5803) of a password."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = (base64.b64encode(part).decode() for part in (salt, client, server))
    return f"SCRAM-SHA-256${iterations}:" + "{}${}:{}".format(*text)


def _create_role(connection: psycopg.Connection, role: str, password: str) -> None:
    """In one transaction. The password is hashed here, so that no log can ever show it."""
    # Iterations slow down the guessing of passwords that people choose; ours are 192 random bits. Dagster opens a
    # connection for nearly every query, and the usual 4096 cost it more than the queries do. Other roles keep them:
    # some clients refuse fewer.
    secret = _scram_secret(password, 1 if role == ORCHESTRATOR else 4096)
    name = sql.Identifier(role)
    with connection.transaction():
        connection.execute(
            sql.SQL("CREATE ROLE {} {} PASSWORD {}").format(name, sql.SQL(ATTRIBUTES[role]), sql.Literal(secret))  # type: ignore[arg-type]
        )
        if role == READER:
            connection.execute(sql.SQL("GRANT pg_read_all_data, pg_read_all_stats TO {}").format(name))
        if role in (READER, VERIFIER):
            connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name))


def _let_connect(connection: psycopg.Connection, database: str, role: str) -> None:
    granted = """
        SELECT FROM pg_database AS d, aclexplode(d.datacl) AS acl
        WHERE d.datname = %s AND acl.grantee = %s::regrole AND acl.privilege_type = 'CONNECT'
    """
    if not _exists(connection, granted, database, role):
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), sql.Identifier(role))
        )


def _exists(connection: psycopg.Connection, query: str, *arguments: str) -> bool:
    return connection.execute(query.encode(), arguments).fetchone() is not None
