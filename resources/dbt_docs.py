"""The documentation site of the dbt project, as one file that needs no server.

dbt's site knows nothing of the masked views: the descriptions of these, which say how each personal column is masked,
take the place of the models' own.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from resources.dbt import DBT_EXECUTABLE, DBT_PROJECT, connection_environment, folder_environment
from resources.settings import Settings
from warehouse.errors import DrivetrainError
from warehouse.postgres.sessions import Dsn, connect, translated

#: Comments on the columns of schema `masked`.
_MASKED = """
SELECT c.relname, a.attname, col_description(c.oid, a.attnum)
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
 WHERE c.relnamespace = to_regnamespace('masked') AND a.attnum > 0
"""


def write_docs(settings: Settings) -> tuple[Path, Path]:
    """Read the warehouse's catalogue and write the site.

    Returns:
        The site, and the folder of the example queries as plain SQL.

    Raises:
        DrivetrainError: dbt could not make it.
    """
    target = settings.folder("dbt") / "docs"
    warehouse = settings.warehouse()
    environment = {**connection_environment(warehouse), **folder_environment(settings)}
    done = subprocess.run(
        [str(DBT_EXECUTABLE), "--quiet", "--no-use-colors", "docs", "generate"],
        env={**os.environ, **environment, "DBT_TARGET_PATH": str(target)},
        cwd=DBT_PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DrivetrainError(f"dbt cannot write its documentation:\n{(done.stdout + done.stderr).strip()[-4000:]}")
    manifest = tagged(json.loads((target / "manifest.json").read_text()), masked_comments(warehouse))
    page = (target / "index.html").read_text(encoding="utf-8")
    for place, content in (("MANIFEST", manifest), ("CATALOG", json.loads((target / "catalog.json").read_text()))):
        marker = f'"{place}.JSON INLINE DATA"'
        if marker not in page:
            raise DrivetrainError(f"dbt's page has no place for {place.lower()}.json", hint="Its version changed.")
        # Within a script element: a description must not end it.
        page = page.replace(marker, json.dumps(content).replace("</", "<\\/"))
    site = target / "drivetrain.html"
    site.write_text(page, encoding="utf-8")
    return site, target / "compiled" / "drivetrain" / "analyses"


def masked_comments(warehouse: Dsn) -> dict[tuple[str, str], str]:
    """What analysts are told of each column of each view of schema ``masked``, by view and column."""
    with connect(warehouse, read_only=True) as connection, translated("warehouse"):
        return {(view, column): comment for view, column, comment in connection.execute(_MASKED) if comment}


def tagged(manifest: dict[str, Any], comments: dict[tuple[str, str], str]) -> dict[str, Any]:
    """The manifest with columns described as analysts read it, and personal ones tagged."""
    for node in manifest["nodes"].values():
        for name, column in node.get("columns", {}).items():
            kind = column.get("config", {}).get("meta", {}).get("personal")
            column["description"] = comments.get((node["name"], name)) or column["description"]
            if kind:
                column["description"] = f"[PII: {kind}] {column['description']}"
                column["tags"] = [*column.get("tags", []), "pii"]
    return manifest
