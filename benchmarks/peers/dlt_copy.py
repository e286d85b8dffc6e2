"""dlt's part of a benchmark: run by the interpreter of the peers' environment, knows nothing of this project.

``dlt_copy.py copy <dataset> <table> …`` copies tables of ``PEER_SOURCE`` into ``PEER_TARGET`` with dlt's own defaults,
by its Arrow backend. ``probe`` tries each table alone and prints, as one JSON line, those that dlt refuses and why: one
column that it cannot carry stops the whole pipeline. Nothing of the project is imported: it is not in that environment.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

import dlt  # type: ignore[import-not-found]
from dlt.sources.sql_database import sql_database  # type: ignore[import-not-found]


def copy(dataset: str, tables: list[str], *, load: bool = True) -> None:
    """Copy the tables in one pipeline, or (``load=False``) stop before they are loaded."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            f"benchmark_{dataset}",
            pipelines_dir=folder,
            destination=dlt.destinations.postgres(credentials=os.environ["PEER_TARGET"]),
            dataset_name=dataset,
        )
        source = sql_database(
            os.environ["PEER_SOURCE"].replace("postgresql://", "postgresql+psycopg2://"),
            schema="public",
            table_names=tables,
            backend="pyarrow",
        )
        if load:
            pipeline.run(source, write_disposition="replace").raise_on_failed_jobs()
        else:
            pipeline.extract(source, write_disposition="replace")
            pipeline.normalize()


def probe(dataset: str, tables: list[str]) -> dict[str, str]:
    """Tables that dlt does not carry, each with the kind of its error."""
    refused: dict[str, str] = {}
    for table in tables:
        try:
            copy(dataset, [table], load=False)
        except Exception as error:
            cause = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            refused[table] = f"{type(cause).__name__}: {cause}".splitlines()[0][:160]
    return refused


def main() -> None:
    """Do what the command line says."""
    verb, dataset, *tables = sys.argv[1:]
    if verb == "copy":
        copy(dataset, tables)
    else:
        sys.stdout.write("\n" + json.dumps(probe(dataset, tables)) + "\n")


if __name__ == "__main__":
    main()
