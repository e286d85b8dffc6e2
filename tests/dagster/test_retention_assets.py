"""The asset of a system's retention on real servers: what it takes, what its check says, and when its run fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from ingesting import PARTITIONED, Bench

from assets import keys
from assets.retention import NOTHING_OLDER, retention_asset

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> Run:
    """A system with a table of three months of 2024 that live for a year; materialises the asset of its retention."""
    bench.source(PARTITIONED.format(time="timestamptz", zone="+00"))
    bench.source("INSERT INTO facts SELECT i + 1000, '2024-03-31 12:00+00', 'last' FROM generate_series(1, 10) i")
    partition = {"range": "at", "name": "{table}_y{year}m{month}"}
    bench.monthly("facts", partition=partition, retention="1 year")
    bench.ingest("facts")
    document = bench.system.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    (tmp_path / f"{bench.name}.yaml").write_text(yaml.safe_dump(document))
    for name, value in {
        "HOME": str(tmp_path),
        "CATALOG": str(tmp_path),
        "WAREHOUSE_DSN": bench.pair.target.text,
        "DAGSTER_DSN": bench.pair.target.text,
        f"{bench.name.upper()}_DSN": bench.pair.primary.text,
        f"{bench.name.upper()}_MAINTENANCE_DSN": bench.pair.source_admin,
    }.items():
        monkeypatch.setenv(f"DRIVETRAIN_{name}", value)

    def materialise(**config: Any) -> dg.ExecuteInProcessResult:
        node = keys.retention(bench.name).to_python_identifier()
        return dg.materialize(
            [retention_asset(bench.system)],
            instance=instance,
            raise_on_error=False,
            run_config={"ops": {node: {"config": config}}} if config else None,
        )

    return materialise


def check(result: dg.ExecuteInProcessResult) -> tuple[bool, str]:
    (found,) = [each for each in result.get_asset_check_evaluations() if each.check_name == NOTHING_OLDER]
    return found.passed, str(found.metadata["which"].value)


def metadata(bench: Bench, result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (made,) = result.asset_materializations_for_node(keys.retention(bench.name).to_python_identifier())
    return {name: value.value for name, value in made.metadata.items()}


def test_what_is_past_its_age_goes(bench: Bench, run: Run) -> None:
    dry = run(dry_run=True)
    assert dry.success
    passed, which = check(dry)
    assert not passed
    assert "facts 2024-01: 124 rows in the warehouse" in which
    assert metadata(bench, dry)["gone"] == "Nothing went."
    assert bench.source("SELECT count(*) FROM facts") == [(370,)]
    done = run()
    assert done.success
    assert check(done) == (True, "none")
    shown = metadata(bench, done)
    assert [shown[f"gone_from_{place}"] for place in ("source", "warehouse", "lake")] == [370, 370, 0]
    assert "| facts | 2024-01 | source | drop partition | 124 | gone |" in metadata(bench, done)["gone"]
    assert bench.source("SELECT count(*) FROM facts") == [(0,)]
    assert bench.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]


def test_a_hold_is_told_and_no_failure(bench: Bench, run: Run) -> None:
    bench.warehouse(f"INSERT INTO platform.legal_hold (system, reason) VALUES ('{bench.name}', 'court')")
    kept = run()
    assert kept.success
    assert check(kept) == (True, "none")
    shown = metadata(bench, kept)
    assert (shown["gone_from_source"], shown["rows_kept_back"]) == (0, 740)
    assert "legal hold: court" in shown["left"]


def test_what_cannot_be_deleted_fails_the_run(bench: Bench, run: Run) -> None:
    bench.source("CREATE TABLE notes (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES facts)")
    bench.source("INSERT INTO notes SELECT id, at FROM facts WHERE id = 7")
    failed = run()
    assert not failed.success
    passed, which = check(failed)
    assert not passed
    assert "facts 2024-01" in which
