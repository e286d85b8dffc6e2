"""``kill -9`` of a capturing process at every step: the next run goes on, and each transaction is there once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from capturing import capture, captured, drop_slots
from ingesting import PARTITIONED, Bench, backends_of, bench_on, databases

from demo.servers import Servers

ROOT = Path(__file__).parents[2]
_RUN, _RAW = "warehouse.ingest.capture.run", "warehouse.state.raw_changes"
#: ``module:attribute`` of the calls around which the process ends; ``-`` before, ``+`` after.
STEPS = [
    f"+{_RUN}:lock_capture", f"+{_RUN}:_Run.open", f"+{_RUN}:_Run._read", f"-{_RUN}:apply_changes",
    f"+{_RAW}:_Applying._fill", f"+{_RAW}:_Applying._delete", f"+{_RAW}:_Applying._merge", f"+{_RUN}:apply_changes",
    f"+{_RUN}:record_load", f"-{_RUN}:write_applied", f"+{_RUN}:write_applied", f"-{_RUN}:write_slot",
    f"+{_RUN}:write_slot", f"-{_RUN}:advance_slot", f"+{_RUN}:advance_slot",
]  # fmt: skip
#: Of a slot that begins anew.
BEGINNINGS = [
    f"-{_RUN}:create_slot", f"+{_RUN}:create_slot", f"-{_RUN}:write_slot", f"+{_RUN}:write_slot",
    f"+{_RUN}:write_applied", f"-{_RUN}:ingest_table", f"+{_RUN}:ingest_table",
]  # fmt: skip

SCRIPT = """
import importlib, os, signal, sys
from warehouse.catalog.loader import parse_system
from warehouse.ingest.capture import capture_changes
from warehouse.postgres.sessions import Dsn

step, primary, log, target, document = sys.argv[1:6]
module, _, path = step[1:].partition(":")
*owners, name = path.split(".")
owner = importlib.import_module(module)
for each in owners:
    owner = getattr(owner, each)
original = getattr(owner, name)

def around(*arguments, **named):
    if step[0] == "-":
        os.kill(os.getpid(), signal.SIGKILL)
    original(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, around)
capture_changes(Dsn(primary), Dsn(log), Dsn(target), parse_system(document, "killed.yaml"))
"""


@pytest.fixture
def facts(servers: Servers) -> Iterator[Bench]:
    """A captured table in months, in databases of its own."""
    with databases(servers) as pair, bench_on(pair) as bench:
        bench.source(PARTITIONED.format(time="timestamptz", zone="Z"))
        bench.monthly("facts")
        captured(bench, "facts")
        capture(bench)
        yield bench
        drop_slots(bench)


def killed(bench: Bench, step: str) -> None:
    """A process that captures, and ends itself at the step."""
    document = yaml.safe_dump(bench.system.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    pair = bench.pair
    process = subprocess.run(
        [
            sys.executable, "-c", textwrap.dedent(SCRIPT), step, pair.primary.text, pair.log.text, pair.target.text,
            document,
        ],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert process.returncode == -signal.SIGKILL, (step, process.stderr)
    deadline = time.monotonic() + 20
    while backends_of(bench, "drivetrain capture") or backends_of(bench, "drivetrain ingest"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    query = (
        "SELECT FROM pg_stat_activity WHERE application_name = 'drivetrain capture' AND datname = current_database()"
    )
    while bench.source(query):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def change(bench: Bench, version: int) -> None:
    bench.source(
        f"UPDATE facts SET v = 'version {version}' WHERE id % 3 = 0; DELETE FROM facts WHERE id = {version};"
        f"UPDATE facts SET id = id + 1000 WHERE id = {version + 50};"
        f"INSERT INTO facts VALUES ({2000 + version}, '2024-02-{version + 1:02}Z', 'new')"
    )


@pytest.mark.slow
def test_killed_at_each_step(facts: Bench) -> None:
    for version, step in enumerate(STEPS, start=1):
        change(facts, version)
        killed(facts, step)
        found = facts.warehouse("SELECT DISTINCT v FROM {raw}.facts WHERE v LIKE 'version%' AND id < 1000")
        assert set(found) <= {(f"version {version - 1}",), (f"version {version}",)}, step
        assert len(found) == (0 if version == 1 and not found else 1), step  # all of a transaction, or nothing
        if version % 2:
            facts.source(f"UPDATE facts SET v = 'meanwhile' WHERE id = {100 + version}")
        assert capture(facts).tables["facts"].compared is None, step
        facts.assert_equal("facts")
        assert not facts.leftovers()
    assert facts.ingest("facts").loads == ()


@pytest.mark.slow
@pytest.mark.parametrize("step", BEGINNINGS)
def test_killed_while_it_begins_anew(facts: Bench, step: str) -> None:
    drop_slots(facts)
    change(facts, 1)
    killed(facts, step)
    change(facts, 2)
    capture(facts)
    facts.assert_equal("facts")
    change(facts, 3)
    assert capture(facts).tables["facts"].compared is None
    facts.assert_equal("facts")
