"""Other tools that write a table as Parquet, as their documentation says: ``parquet.py NAME TABLE FOLDER``.

Run by the peers' own interpreter; the address comes in ``BENCHMARK_DSN``. Prints one JSON line: seconds without
imports, rows and bytes of the files.
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
    try:
        connection.execute("INSTALL postgres; LOAD postgres")
    except duckdb.IOException:
        sys.exit("its extension for PostgreSQL cannot be fetched here")
    yield
    connection.execute(f"ATTACH '{dsn}' AS source (TYPE postgres, READ_ONLY)")
    connection.execute(f"COPY source.public.{table} TO '{file}' (FORMAT parquet)")


def duckdb_adbc(dsn, table, file):
    """Where its extension cannot be fetched: it writes what ADBC reads."""
    import adbc_driver_postgresql.dbapi as postgres
    import duckdb  # type: ignore[import-not-found]

    connection = duckdb.connect()
    yield
    with postgres.connect(dsn) as session, session.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        connection.register("rows", cursor.fetch_record_batch())
        connection.execute(f"COPY rows TO '{file}' (FORMAT parquet)")


WORK = {
    "pandas": pandas,
    "connectorx": connectorx,
    "polars": polars,
    "duckdb": duckdb,
    "duckdb over adbc": duckdb_adbc,
}


def main():
    import pyarrow.parquet as pq

    name, table, folder = sys.argv[1:]
    file = Path(folder) / "all.parquet"
    work = WORK[name](os.environ["BENCHMARK_DSN"], table, file)
    next(work)
    started = time.perf_counter()
    next(work, None)
    seconds = time.perf_counter() - started
    rows = pq.ParquetFile(file).metadata.num_rows
    sys.stdout.write(json.dumps({"seconds": seconds, "rows": rows, "bytes": file.stat().st_size}) + "\n")


if __name__ == "__main__":
    main()
