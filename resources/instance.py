"""Dagster's own instance: its folder under the home directory, its storage in PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path

from psycopg import conninfo

from resources.settings import PROJECT, Settings
from warehouse.postgres.sessions import Dsn

#: The storage's address is taken from the environment by Dagster itself, so that the file holds no secret.
_STORAGE_VARIABLE = "DRIVETRAIN_DAGSTER_URL"

_CONFIGURATION = f"""\
# Written by Drivetrain at every start; change resources/instance.py instead.
storage:
  postgres:
    postgres_url:
      env: {_STORAGE_VARIABLE}
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 4
  pools:
    # At most one run at once, of those that schedules, sensors and the UI start, reads a source or builds in the
    # warehouse. By run and not by step: a step's slot outlives a process that was killed, and waiting for one cannot
    # be interrupted. What the command line runs is held apart by the tables' own locks.
    default_limit: 1
    granularity: run
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
"""


def home_directory(settings: Settings) -> Path:
    """Dagster's folder."""
    return settings.folder("dagster")


def instance_environment(settings: Settings) -> dict[str, str]:
    """Write ``dagster.yaml`` and give the variables under which Dagster finds its instance and dbt its warehouse.

    Raises:
        ConfigurationError: no database for Dagster's storage is configured or embedded.
    """
    from resources.dbt import dbt_environment

    folder = home_directory(settings)
    (folder / "dagster.yaml").write_text(_CONFIGURATION)
    return {
        "DAGSTER_HOME": str(folder),
        _STORAGE_VARIABLE: _url(settings.dagster()),
        "DRIVETRAIN_HOME": str(settings.home),
        **settings.catalog_environment(),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")])),
        **dbt_environment(settings),
    }


def enter_instance(settings: Settings) -> None:
    """Make this process part of the instance, before Dagster's is opened."""
    os.environ.update(instance_environment(settings))


def _url(dsn: Dsn) -> str:
    """The address as SQLAlchemy wants it, whichever form it was given in."""
    from sqlalchemy import URL

    parts = conninfo.conninfo_to_dict(dsn.text)
    query = {name: str(parts[name]) for name in ("sslmode", "sslrootcert", "options") if parts.get(name)}
    return URL.create(
        "postgresql+psycopg2",
        username=str(parts["user"]) if parts.get("user") else None,
        password=str(parts["password"]) if parts.get("password") else None,
        host=str(parts.get("host") or "127.0.0.1"),
        port=int(parts.get("port") or 5432),
        database=str(parts.get("dbname") or ""),
        query=query,
    ).render_as_string(hide_password=False)
