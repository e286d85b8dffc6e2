"""The asset and the command of change capture: what they do, say, and when they fail."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from capturing import captured, drop_slots, publish, slots
from ingesting import Bench, bench_on, databases
from tiering import environment
from typer.testing import CliRunner

from assets import keys
from assets.capture import FOLLOWS, capture_asset, capture_assets
from demo.servers import Servers
from pipelines.cli import app, output
from resources.gaps import gaps
from resources.settings import Settings
from warehouse.catalog import load_catalog


@pytest.fixture
def notes(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A table that is to be captured, published, and a catalog that says so."""
    with databases(servers) as pair, bench_on(pair) as bench:
        bench.source("CREATE TABLE notes (id int PRIMARY KEY, v text); INSERT INTO notes VALUES (1, 'a'), (2, 'b')")
        bench.declare("notes", key=["id"])
        captured(bench, "notes")
        for name, value in environment(bench, tmp_path).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv(f"DRIVETRAIN_{bench.name.upper()}_CAPTURE_DSN", pair.log.text)
        yield bench
        drop_slots(bench)


def materialise(bench: Bench, instance: dg.DagsterInstance) -> tuple[bool, dict[str, object], str]:
    """Whether the check passed, what was said, and what is wrong."""
    result = dg.materialize([capture_asset(bench.system)], instance=instance, raise_on_error=False)
    assert result.success
    (made,) = result.asset_materializations_for_node(keys.capture(bench.name).to_python_identifier())
    (found,) = [each for each in result.get_asset_check_evaluations() if each.check_name == FOLLOWS]
    return found.passed, {k: v.value for k, v in made.metadata.items()}, str(found.metadata["which"].value)


def test_the_asset_tells_what_changed(notes: Bench, instance: dg.DagsterInstance) -> None:
    passed, said, _ = materialise(notes, instance)
    assert passed
    assert "it was not captured before" in str(said["tables"])
    notes.source("UPDATE notes SET v = 'c' WHERE id = 1")
    passed, said, _ = materialise(notes, instance)
    assert (passed, said["changes"], said["rows_written"], said["log_given_up"]) == (True, 1, 1, False)
    notes.assert_equal("notes")


def test_a_table_that_cannot_follow_fails_the_check_and_not_the_run(notes: Bench, instance: dg.DagsterInstance) -> None:
    materialise(notes, instance)
    notes.source("ALTER TABLE notes RENAME v TO w")
    passed, _, wrong = materialise(notes, instance)
    assert not passed
    assert "column 'v' is declared" in wrong


def test_what_is_missing_at_the_source_ends_the_run(notes: Bench, instance: dg.DagsterInstance) -> None:
    notes.source(f"DROP PUBLICATION drivetrain_{notes.name}")
    result = dg.materialize([capture_asset(notes.system)], instance=instance, raise_on_error=False)
    assert not result.success
    publish(notes)


def test_nobody_has_an_asset_for_nothing() -> None:
    assert capture_assets(load_catalog()) == []  # the five systems are compared only, until somebody says so


def test_the_command(notes: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(*arguments: str, expect: int = 0) -> str:
        with monkeypatch.context() as patched:
            said = io.StringIO()
            patched.setattr(output.console, "file", said)
            result = CliRunner().invoke(app, ["capture", *arguments], catch_exceptions=False)
        assert result.exit_code == expect, said.getvalue()
        return said.getvalue() + result.output

    assert "no slot" in command("status", expect=0)
    assert "compared with the source first" in command("run")
    notes.source("INSERT INTO notes VALUES (3, 'c')")
    told = json.loads(command("run", "--json"))["systems"][notes.name]
    assert (told["tables"]["notes"]["changes"], told["given_up"]) == (1, False)
    state = json.loads(command("status", "--json"))["systems"][notes.name]
    assert state["wrong"] == []
    assert state["read_at"]
    notes.source("ALTER TABLE notes DROP v; INSERT INTO notes VALUES (4)")
    assert "is not up to date" in command("run", expect=1)
    assert "has to be compared" in command("status", expect=1)
    assert "CREATE" in command("publish", notes.name) or "ALTER" in command("publish", notes.name)
    notes.tables["notes"]["ingest"] = {}  # nobody thinks of the slot
    Path(Settings.load().values["DRIVETRAIN_CATALOG"], f"{notes.name}.yaml").write_text(notes.catalog_file)
    assert "no table is captured, and the source keeps log" in command("status", expect=1)
    assert "the slot is gone" in command("stop", notes.name)
    assert slots(notes) == []
    assert "No table is captured" in command("status")


def test_a_wrong_name(notes: Bench) -> None:
    result = CliRunner().invoke(app, ["capture", "run", "nobody"])
    assert "no system with captured tables" in str(result.exception)
    assert notes.name in str(result.exception)


def test_months_that_are_missing_are_told(notes: Bench) -> None:
    notes.source("CREATE TABLE facts (id int, at timestamptz, PRIMARY KEY (id, at))")
    notes.source("INSERT INTO facts VALUES (1, '2024-02-02Z')")
    notes.monthly("facts")
    Path(Settings.load().values["DRIVETRAIN_CATALOG"], f"{notes.name}.yaml").write_text(notes.catalog_file)
    notes.ingest("facts")
    settings = Settings.load()
    system = settings.catalog().systems[notes.name]
    assert gaps(settings, [(system, "facts")], dt.date(2024, 5, 5)) == []
    notes.warehouse("UPDATE platform.raw_content SET agrees = false WHERE table_name = 'facts'")
    (gap,) = gaps(settings, [(system, "facts")], dt.date(2024, 5, 5))
    assert gap.backfill == f"drivetrain ingest {notes.name}.facts --since 2024-02 --until 2024-02"
