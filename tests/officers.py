"""What tests of persons' requests share: a warehouse with officers, each signed in with a login of their own.

What does not belong here: what only one module needs.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ingesting import PLATFORM, Bench, Databases, databases
from psycopg import conninfo, sql
from tiering import environment
from typer.testing import CliRunner

from demo.servers import Servers
from demo.servers.model import VERIFIER
from demo.servers.roles import ANALYST_SQL, OFFICERS_SQL
from pipelines.cli import app
from resources import absence
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
    with databases(servers, before=ANALYST_SQL.read_text() + OFFICERS_SQL.read_text()) as pair:
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


class Desk:
    """Commands of an officer on one system with riders."""

    def __init__(self, found: Officers, bench: Bench, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.found, self.bench, self.folder, self.patch = found, bench, folder, patch
        self.environment()
        verifier = bench.pair.servers.server("warehouse").dsn(bench.pair.warehouse, VERIFIER)
        patch.setenv("DRIVETRAIN_VERIFIER_DSN", verifier)
        patch.setattr(absence, "ensure_manifest", lambda _: None)  # models are the business of other tests
        patch.setattr(absence, "models_of", lambda *_: {})

    def environment(self) -> None:
        """Settings, with the bench's policies as they are now."""
        for name, value in environment(self.bench, self.folder).items():
            self.patch.setenv(name, value)

    def __call__(self, who: str, *arguments: str) -> dict[str, Any]:
        """As somebody; the JSON that is printed, if any."""
        self.patch.setenv("DRIVETRAIN_OFFICER_DSN", self.found.logins[who].text)
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return {"exit": result.exit_code, **(json.loads(result.stdout) if "--json" in arguments else {})}


def _drop(pair: Databases, names: list[str]) -> None:
    with psycopg.connect(pair.warehouse_admin, autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
