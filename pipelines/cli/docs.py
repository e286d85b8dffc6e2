"""``drivetrain docs``: the documentation site of the models."""

from __future__ import annotations

from pipelines.cli.output import console
from resources.dbt_docs import write_docs
from resources.settings import Settings


def docs() -> None:
    """Write the site of the models, their columns and lineage: one HTML file, to be opened in a browser."""
    settings = Settings.load()
    with console.status("Starting servers …") as progress, settings.embedded_servers(progress.update):
        progress.update("Reading the warehouse …")
        site, examples = write_docs(settings)
    console.print(f"Wrote {site}", markup=False, soft_wrap=True)
    console.print(f"Example queries for psql: {examples}", markup=False, soft_wrap=True)
