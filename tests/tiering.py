"""What tests of tiers share: a table that moves down the tiers, and every row of it, wherever it is.

What does not belong here: what only one module needs.
"""

from __future__ import annotations

import datetime as dt
import io
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from deltalake import DeltaTable
from ingesting import Bench

from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn, connect
from warehouse.proof.conservation import prove_table
from warehouse.state.tiered import Places
from warehouse.tiering.apply import Done, look, move_table
from warehouse.tiering.plan import Step

AT = dt.datetime(2024, 3, 20, tzinfo=dt.UTC)
LATER = dt.datetime(2024, 9, 20, tzinfo=dt.UTC)
#: With ``NO_HOT``, January alone is due.
ONLY_JANUARY = dt.datetime(2024, 5, 15, tzinfo=dt.UTC)
TIERS = {"hot": "30 days", "warm": "3 months", "cold": {"buckets": 2}}
NO_HOT = {"warm": "3 months", "cold": {"buckets": 2}}

#: Every type that a raw table may have, and values of it as PostgreSQL reads them.
TYPES = {
    "bigint": ["0", "-9223372036854775808", "9223372036854775807"],
    "integer": ["0", "-2147483648", "2147483647"],
    "smallint": ["-32768", "32767"],
    "real": ["0", "-0", "1e-40", "NaN", "Infinity", "3.4e38"],
    "double precision": ["0", "-0", "5e-324", "NaN", "-Infinity", "1.7976931348623157e308"],
    "boolean": ["true", "false"],
    "numeric(12,2)": ["0", "-0.01", "9999999999.99"],
    "numeric(38,6)": ["0.000001", "-99999999999999999999999999999999.999999"],
    "numeric(20,10)": ["0.0000000001"],
    "numeric": ["1.10", "1.1", "1e400", "NaN", "Infinity"],
    "date": ["2024-01-31", "0044-03-15 BC", "5874897-12-31"],
    "timestamp with time zone": [
        "2024-01-01 00:00:00.000001+00", "1999-12-31 23:59:59.999999+00", "0044-03-15 12:00+00 BC",
    ],
    "timestamp without time zone": ["2024-02-29 12:00:00.123456", "1582-10-10 00:00:00"],
    "time without time zone": ["23:59:59.999999", "24:00:00"],
    "time with time zone": ["12:00:00+05:30"],
    "interval": ["1 year 2 mons -3 days 04:05:06.789"],
    "text": ["", "x", "Zoë 自転車 🚲", "twelve bytes", "thirteen byte", "a\nb\\c\"d'"],
    "character(3)": ["INR", "x"],
    "character varying(20)": ["trailing  "],
    "bytea": ["", "\\x00ff", "\\x" + "ab" * 100],
    "uuid": ["00000000-0000-0000-0000-000000000000", "f47ac10b-58cc-4372-a567-0e02b2c3d479"],
    "jsonb": ['{"b": [1, 2.50, null], "a": "ü"}', "null"],
    "json": ['{"b":1,  "a":2}'],
    "inet": ["10.0.0.1", "2001:db8::/32"],
    "text[]": ["{}", '{a,NULL,"b,c"}'],
    "integer[]": ["{{1,2},{3,NULL}}", "[2:3]={1,2}"],
    "tstzrange": ["empty", "[2024-01-01 00:00:00+00,)"],
    "point": ["(1.5,-2)"],
    "bit varying(8)": ["10101"],
    "tsvector": ["'cat':3 'fat':2"],
    "money": ["12.34"],
}  # fmt: skip
Row = tuple[str, ...]


def tier(bench: Bench, tiers: dict[str, Any]) -> None:
    """Declare ``facts`` with tiers."""
    bench.monthly("facts", partition={"range": "at", "name": "{table}_y{year}m{month}"}, tiers=tiers)


def environment(bench: Bench, folder: Path) -> dict[str, str]:
    """Settings under which the command line and Dagster have the bench's system, with its policy of now."""
    document = bench.system.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    (folder / f"{bench.name}.yaml").write_text(yaml.safe_dump(document))
    settings = {
        "HOME": str(folder),
        "CATALOG": str(folder),
        "WAREHOUSE_DSN": bench.pair.target.text,
        "DAGSTER_DSN": bench.pair.target.text,
        "TIER_GRACE": "0 days",
        "BACKUPS_KEPT": "none",
        f"{bench.name.upper()}_DSN": bench.pair.primary.text,
        f"{bench.name.upper()}_MAINTENANCE_DSN": bench.pair.source_admin,
    }
    return {f"DRIVETRAIN_{name}": value for name, value in settings.items()}


def places(bench: Bench, lake: Store) -> Places:
    """The source as superuser: whoever owns the tables there."""
    return Places(Dsn(bench.pair.source_admin), bench.pair.target, lake)


def plan(bench: Bench, lake: Store, at: dt.datetime = AT) -> list[tuple[str, str]]:
    """What is to be done, in short."""
    return [told(step) for step in look(places(bench, lake), bench.system, "facts", at)]


def told(step: Step) -> tuple[str, str]:
    """``("join", "2024-01 late 1")``."""
    return step.kind, f"{step.month:%Y-%m}" + (f" late {step.part}" if step.part else "")


def move(bench: Bench, lake: Store, at: dt.datetime = AT, keep: dt.timedelta = dt.timedelta()) -> list[Done]:
    """One run."""
    return move_table(places(bench, lake), bench.system, "facts", at, keep=keep)


def moved(bench: Bench, lake: Store, at: dt.datetime = AT) -> list[tuple[str, str]]:
    """All that is done until nothing is left, nothing being kept."""
    found: list[tuple[str, str]] = []
    while done := move(bench, lake, at):
        for each in done:
            if each.failure:
                raise each.failure
        found += [told(each.step) for each in done]
    return found


def everywhere(bench: Bench, lake: Store) -> Counter[Row]:
    """Every row below the source once: those of the raw table, and those of files that the ledger says readers take."""
    rows = Counter(
        (str(number), f"{at:%Y-%m-%d %H:%M:%S.%f}", value)
        for number, at, value in bench.warehouse("SELECT id, at AT TIME ZONE 'UTC', v FROM {raw}.facts")
    )
    root = lake.under(bench.name, "facts")
    options = dict(root.options)
    if DeltaTable.is_deltatable(root.url, options):
        there = {uri[uri.index("month=") :] for uri in DeltaTable(root.url, storage_options=options).file_uris()}
        live = {
            path
            for (path,) in bench.warehouse(
                "SELECT f.path FROM platform.lake_file AS f JOIN platform.tier_move AS m ON m.id = f.move"
                f" WHERE m.state IN ('flipped', 'dropped') AND m.system = '{bench.name}'"
            )
        }
        assert live <= there
        for path in live:
            for row in pq.read_table(io.BytesIO(root.get(path)), partitioning=None).to_pylist():
                rows[str(row["id"]), f"{row['at']:%Y-%m-%d %H:%M:%S.%f}", row["v"]] += 1
    return rows


def source_rows(bench: Bench) -> Counter[Row]:
    """Every row of the source."""
    return Counter(
        (str(number), f"{at:%Y-%m-%d %H:%M:%S.%f}", value)
        for number, at, value in bench.source("SELECT id, at AT TIME ZONE 'UTC', v FROM facts")
    )


def proven(bench: Bench, lake: Store, deep: bool = True) -> list[tuple[str, str]]:
    """What the proof finds of ``facts``: kind and month."""
    with (
        connect(bench.pair.target) as connection,
        connect(Dsn(bench.pair.source_admin), read_only=True, see_all_rows=True) as source,
    ):
        proof = prove_table(connection, bench.pair.target, bench.system, "facts", lake, deep=deep, source=source)
    return [(each.kind, f"{each.month:%Y-%m}" if each.month else "") for each in proof.findings]
