"""``drivetrain tiers apply`` killed (SIGKILL) within each request to a real S3 server, and nothing lost by it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ingesting import Bench
from s3_proxy import Fault, Proxy
from tiering import NO_HOT, ONLY_JANUARY, everywhere, moved, plan, proven, tier

from warehouse.lake.store import Store

pytestmark = pytest.mark.slow


def command(bench: Bench, lake: Store, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """``drivetrain`` in a process of its own, with the bench's databases and one system."""
    catalog = folder / "catalog"
    catalog.mkdir(exist_ok=True)
    (catalog / f"{bench.name}.yaml").write_text(bench.catalog_file)
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("DRIVETRAIN_", "AWS_"))}
    settings = {
        "DRIVETRAIN_HOME": str(folder / "home"), "DRIVETRAIN_CATALOG": str(catalog),
        "DRIVETRAIN_WAREHOUSE_DSN": bench.pair.target.text, "DRIVETRAIN_DAGSTER_DSN": bench.pair.target.text,
        f"DRIVETRAIN_{bench.name.upper()}_DSN": bench.pair.primary.text,
        "DRIVETRAIN_LAKE_URL": lake.url, "DRIVETRAIN_TIER_GRACE": "0 days",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", "from pipelines.cli import main; main()", *arguments],
        env={**ours, **settings, **lake.options}, cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.timeout(1500)
def test_killed_within_each_request(facts: Bench, troubled: Store, between: Proxy, tmp_path: Path) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    due = everywhere(facts, troubled)
    killed = 0
    for request in itertools.count(1):
        between.let(Fault("slow", method=".*", seconds=0.3))
        apply = ("tiers", "apply", "--at", f"{ONLY_JANUARY:%Y-%m-%d}")
        with command(facts, troubled, tmp_path, *apply) as process:
            while process.poll() is None and between.seen < request:
                time.sleep(0.02)
            process.kill()
            said = process.communicate()[0]
        between.let()
        assert process.returncode in (0, -9), said
        killed += process.returncode == -9
        assert everywhere(facts, troubled) == due, request
        assert [finding for finding in proven(facts, troubled) if finding[0] != "unfinished"] == [], request
        if process.returncode == 0 and plan(facts, troubled, ONLY_JANUARY) == []:
            break
    assert killed > 10
    assert moved(facts, troubled, ONLY_JANUARY) == []
    assert proven(facts, troubled) == []
