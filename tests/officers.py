"""What tests of persons' requests share: a warehouse with officers, each signed in with a login of their own.

What does not belong here: what only one module needs.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from ingesting import PLATFORM, Databases, databases
from psycopg import conninfo, sql

from demo.servers import Servers
from demo.servers.roles import OFFICERS_SQL
from warehouse.postgres.sessions import Dsn

ROLES = ("requester", "approver", "operator", "auditor")
_PASSWORD = uuid.uuid4().hex


@dataclass(frozen=True)
class Officers:
    """A pair of databases, and who may sign in to its warehouse.

    Attributes:
        logins: by name: one per role, ``both`` is requester and approver, and ``nobody`` has no role.
    """

    pair: Databases
    logins: Mapping[str, Dsn]

    @property
    def platform(self) -> Dsn:
        return self.pair.target


@contextmanager
def officers(servers: Servers) -> Generator[Officers]:
    """Fresh databases; the officers' roles as a superuser provides for them before the first migration."""
    suffix = uuid.uuid4().hex[:8]
    members = {**{role: (role,) for role in ROLES}, "both": ("requester", "approver"), "nobody": ()}
    with databases(servers, before=OFFICERS_SQL.read_text()) as pair:
        logins: dict[str, Dsn] = {}
        with psycopg.connect(pair.warehouse_admin, autocommit=True) as admin:
            for name, roles in members.items():
                login = sql.Identifier(f"{name}_{suffix}")
                admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(login, sql.Literal(_PASSWORD)))
                for role in roles:
                    admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(f"drivetrain_{role}"), login))
                text = conninfo.make_conninfo(pair.target.text, user=f"{name}_{suffix}", password=_PASSWORD)
                logins[name] = Dsn(text, name)
        assert PLATFORM in pair.target.text
        try:
            yield Officers(pair, logins)
        finally:
            with psycopg.connect(pair.servers.server("warehouse").dsn("postgres"), autocommit=True) as admin:
                for name in members:
                    admin.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                        (f"{name}_{suffix}",),
                    )
            _drop(pair, [f"{name}_{suffix}" for name in members])


def _drop(pair: Databases, names: list[str]) -> None:
    with psycopg.connect(pair.warehouse_admin, autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
