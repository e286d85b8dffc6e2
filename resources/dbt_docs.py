"""The documentation site of the dbt project, as one file that needs no server.

dbt's site does not show what is personal: the tag is put before the description of each such column.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from resources.dbt import DBT_EXECUTABLE, DBT_PROJECT, connection_environment, folder_environment
from resources.settings import Settings
from warehouse.errors import DrivetrainError


def write_docs(settings: Settings) -> Path:
    """Read the warehouse's catalogue, write the site, and say where it is.

    Raises:
        DrivetrainError: dbt could not make it.
    """
    target = settings.home / "dbt" / "docs"
    environment = {**connection_environment(settings.warehouse()), **folder_environment(settings)}
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
    manifest = tagged(json.loads((target / "manifest.json").read_text()))
    page = (target / "index.html").read_text(encoding="utf-8")
    for place, content in (("MANIFEST", manifest), ("CATALOG", json.loads((target / "catalog.json").read_text()))):
        marker = f'"{place}.JSON INLINE DATA"'
        if marker not in page:
            raise DrivetrainError(f"dbt's page has no place for {place.lower()}.json", hint="Its version changed.")
        # Within a script element: a description must not end it.
        page = page.replace(marker, json.dumps(content).replace("</", "<\\/"))
    site = target / "drivetrain.html"
    site.write_text(page, encoding="utf-8")
    return site


def tagged(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with personal columns said to be so, and how they are masked."""
    masks: dict[str, str] = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text())["vars"]["masks"]
    for node in manifest["nodes"].values():
        for column in node.get("columns", {}).values():
            kind = column.get("config", {}).get("meta", {}).get("personal")
            if kind:
                column["description"] = f"[PII: {kind}; analysts see: {masks[kind]}] {column['description']}"
                column["tags"] = [*column.get("tags", []), "pii"]
    return manifest
