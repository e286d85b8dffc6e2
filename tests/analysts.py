"""A warehouse with everything in it, as the platform and as an analyst have it.

What does not belong here: expectations of any one test.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from mart_runs import DbtRun, fresh_database, run_dbt
from psycopg import conninfo, sql

from demo.generate import fill
from demo.servers import Servers
from demo.servers.roles import ANALYST_SQL
from warehouse.catalog import load_catalog
from warehouse.ingest import ingest_table, open_snapshot
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate

TODAY = dt.date(2026, 7, 1)


@dataclass(frozen=True)
class Warehouse:
    """Five generated systems, ingested and modelled.

    Attributes:
        platform: connection string of the role that owns it, which is no superuser.
        analyst: of the role of analysts.
        artifacts: dbt's folder.
        built: what the build said.
    """

    platform: str = field(repr=False)
    analyst: str = field(repr=False)
    artifacts: Path
    built: DbtRun

    def dbt(self, *arguments: str, **options: Any) -> DbtRun:
        """Run dbt as the platform does."""
        return run_dbt(self.platform, self.artifacts, *arguments, **options)

    def models(self) -> dict[str, dict[str, Any]]:
        """The models that analysts have, of staging and marts, as dbt's manifest describes them."""
        manifest = json.loads((self.artifacts / "target" / "manifest.json").read_text())
        return {
            node["name"]: node
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and node["schema"] in ("staging", "marts")
        }


@contextmanager
def modelled_warehouse(servers: Servers, artifacts: Path) -> Generator[Warehouse]:
    """Fill, ingest and build, all of it small."""
    with ExitStack() as stack:
        admin = stack.enter_context(fresh_database(servers, "warehouse"))
        name = str(conninfo.conninfo_to_dict(admin)["dbname"])
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO drivetrain").format(sql.Identifier(name)))
            connection.execute(ANALYST_SQL.read_bytes())
        server = servers.server("warehouse")
        platform = server.dsn(name, "drivetrain")
        with connect(Dsn(platform)) as connection:
            migrate(connection)
        for system, policy in load_catalog().systems.items():
            source = stack.enter_context(fresh_database(servers, "operational"))
            fill(source, system, seed=11, scale=0.02, today=TODAY)
            with open_snapshot(Dsn(source)) as snapshot:
                for table in policy.tables:
                    ingest_table(snapshot, Dsn(platform), policy, table)
        built = run_dbt(platform, artifacts, "build", "--exclude-resource-type", "unit_test")
        yield Warehouse(platform, server.dsn(name, "analyst"), artifacts, built)
