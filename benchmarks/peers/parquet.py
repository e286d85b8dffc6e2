"""Other tools that write a table as Parquet, as their documentation says: ``parquet.py NAME TABLE FOLDER``.

Run by the peers' own interpreter. Prints one JSON line: seconds without imports, rows and bytes of the files.
"""

import json
import os
import sys
import time
from pathlib import Path


def pandas(dsn, table, file):
    import pandas
    import sqlalchemy

    engine = sqlalchemy.create_engine(dsn)
    yield
    frame = pandas.read_sql(f"SELECT * FROM {table}", engine)
    frame.to_parquet(file)


def connectorx(dsn, table, file):
    import connectorx  # type: ignore[import-not-found]
    import pyarrow.parquet as pq

    yield
    pq.write_table(connectorx.read_sql(dsn, f"SELECT * FROM {table}", return_type="arrow"), file)


def polars(dsn, table, file):
    import polars  # type: ignore[import-not-found]

    yield
    polars.read_database_uri(f"SELECT * FROM {table}", dsn).write_parquet(file)


def duckdb(dsn, table, file):
    import duckdb  # type: ignore[import-not-found]

    connection = duckdb.connect()
    connection.execute("INSTALL postgres; LOAD postgres")
    yield
    connection.execute(f"ATTACH '{dsn}' AS source (TYPE postgres, READ_ONLY)")
    connection.execute(f"COPY source.public.{table} TO '{file}' (FORMAT parquet)")


def main():
    from urllib.parse import quote

    import pyarrow.parquet as pq

    name, table, folder = sys.argv[1:]
    parts = {part: os.environ[f"PG{part.upper()}"] for part in ("host", "port", "user", "password", "database")}
    dsn = "postgresql://{user}:{password}@{host}:{port}/{database}".format(
        **{**parts, "password": quote(parts["password"])}
    )
    file = Path(folder) / "all.parquet"
    work = {"pandas": pandas, "connectorx": connectorx, "polars": polars, "duckdb": duckdb}[name](dsn, table, file)
    next(work)
    started = time.perf_counter()
    next(work, None)
    seconds = time.perf_counter() - started
    rows = pq.ParquetFile(file).metadata.num_rows
    sys.stdout.write(json.dumps({"seconds": seconds, "rows": rows, "bytes": file.stat().st_size}) + "\n")


if __name__ == "__main__":
    main()
