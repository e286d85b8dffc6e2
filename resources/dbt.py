"""How dbt is called: its environment, its folders under the home directory, and its manifest.

dbt's variables are set for its own subprocess only; the password goes by ``DBT_ENV_SECRET_...``, which dbt keeps out of
its logs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from resources.settings import PROJECT, Settings
from warehouse.errors import ConfigurationError
from warehouse.postgres.sessions import Dsn

DBT_PROJECT = PROJECT / "dbt_project"

#: The dbt of this environment, whether or not it is on the PATH (``resources.dbt_command``).
DBT_EXECUTABLE = Path(sys.executable).with_name("drivetrain-dbt")


def target_path(settings: Settings) -> Path:
    """Where dbt writes its artifacts."""
    return settings.folder("dbt") / "target"


def connection_environment(dsn: Dsn) -> dict[str, str]:
    """The variables by which ``profiles.yml`` finds the warehouse."""
    parts = dsn.parameters
    return {
        "DRIVETRAIN_DBT_HOST": str(parts.get("host") or "127.0.0.1"),
        "DRIVETRAIN_DBT_PORT": str(parts.get("port") or 5432),
        "DRIVETRAIN_DBT_USER": str(parts.get("user") or ""),
        "DBT_ENV_SECRET_WAREHOUSE_PASSWORD": str(parts.get("password") or ""),
        "DRIVETRAIN_DBT_DATABASE": str(parts.get("dbname") or ""),
        "DRIVETRAIN_DBT_SSLMODE": str(parts.get("sslmode") or "prefer"),
    }


def folder_environment(settings: Settings) -> dict[str, str]:
    """Folders outside the project, so that a build leaves the clone clean."""
    return {
        "DBT_PROJECT_DIR": str(DBT_PROJECT),
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_TARGET_PATH": str(target_path(settings)),
        "DBT_LOG_PATH": str(settings.folder("dbt") / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def ensure_manifest(settings: Settings) -> Path:
    """The project's manifest, parsed again only when a file of the project changed. Connects to nothing.

    Raises:
        ConfigurationError: dbt cannot parse the project.
    """
    manifest = target_path(settings) / "manifest.json"
    stamp = manifest.with_name("manifest.stamp")
    digest = project_digest()
    if manifest.is_file() and stamp.is_file() and stamp.read_text() == digest:
        return manifest
    manifest.parent.mkdir(parents=True, exist_ok=True)
    command = [str(DBT_EXECUTABLE), "--quiet", "--no-use-colors", "parse"]
    done = subprocess.run(
        command,
        env={**os.environ, **folder_environment(settings)},
        cwd=DBT_PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ConfigurationError(f"dbt cannot parse dbt_project:\n{(done.stdout + done.stderr).strip()[-4000:]}")
    stamp.write_text(digest)
    return manifest


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Everything that a dbt subprocess needs."""
    return {**connection_environment(settings.warehouse()), **folder_environment(settings)}


def project_digest() -> str:
    """Content hash of the dbt project: of the files that a manifest depends on."""
    digest = hashlib.sha256()
    for path in sorted(DBT_PROJECT.rglob("*")):
        if path.is_file() and path.suffix in (".sql", ".yml", ".yaml", ".md", ".csv"):
            digest.update(str(path.relative_to(DBT_PROJECT)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
