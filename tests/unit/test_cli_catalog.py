"""``drivetrain catalog`` without a database: what it prints, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app, exit_code
from pipelines.cli.output import console, counted
from resources.settings import Settings
from warehouse.catalog.loader import SOURCES
from warehouse.errors import ConfigurationError, DrivetrainError


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("DRIVETRAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DRIVETRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["catalog", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_json_and_csv_say_the_same() -> None:
    document = json.loads(run("show", "--json"))
    rows = list(csv.DictReader(io.StringIO(run("show", "--csv"))))
    assert [(row["system"], row["table"]) for row in rows] == [(e["system"], e["table"]) for e in document]
    assert [row["erasure_grounds"] for row in rows] == [e["erasure_grounds"] or "" for e in document]
    ledger = next(row for row in rows if row["table"] == "wallet_ledger")
    assert (ledger["laws"], ledger["personal"], ledger["reviewed"]) == ("dpdp", "person_id: rider_id", "true")


def test_csv_of_one_table_is_its_columns() -> None:
    (orders,) = json.loads(run("show", "shop.orders", "--json"))
    rows = list(csv.DictReader(io.StringIO(run("show", "shop.orders", "--csv"))))
    assert [row["column"] for row in rows] == [column["column"] for column in orders["columns"]]


def test_one_system_and_one_table_for_people() -> None:
    with console.capture() as said:
        run("show", "shop")
    assert said.get().startswith("shop  commerce data team; gdpr, dpdp\n")
    assert said.get().endswith("8 tables of 1 system\n")
    with console.capture() as said:
        run("show", "shop.orders")
    assert all(f" {word} " in said.get() for word in ("owner", "on erasure", "customer_id", "order_status"))


@pytest.mark.parametrize("arguments", [["--json", "--csv"], ["nowhere"], ["shop.nothing"], ["--kind", "shoe_size"]])
def test_show_refuses(arguments: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        run("show", *arguments)


def test_render_refuses_another_catalog_as_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVETRAIN_CATALOG", str(SOURCES))
    with pytest.raises(DrivetrainError) as refused:
        run("render")
    assert exit_code(refused.value) == 2


def test_draft_takes_its_address_from_the_settings() -> None:
    with pytest.raises(ConfigurationError, match="DRIVETRAIN_PARKING_DSN is not set"):
        run("draft", "--system", "parking")
    assert "NAME.yaml" in run("draft", "--help")


def test_a_catalog_of_several_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    text = (SOURCES / "shop.yaml").read_text().replace("system: shop", "system: parking", 1)
    (mine / "parking.yaml").write_text(text)
    monkeypatch.setenv("DRIVETRAIN_CATALOG", f"{SOURCES}{os.pathsep}mine{os.pathsep}")
    with console.capture() as said:
        run("check", "--offline")
    assert " tables of 6 systems read: 0 errors, 0 warnings" in said.get()
    with console.capture() as said:
        run("check", "parking", "--offline")
    assert said.get() == "8 tables of 1 system read: 0 errors, 0 warnings\n"
    monkeypatch.setenv("DRIVETRAIN_CATALOG", f"{SOURCES}{os.pathsep}nowhere")
    with pytest.raises(ConfigurationError, match="nowhere is no folder"):
        Settings.load().catalog()


@pytest.mark.parametrize(("number", "expected"), [(0, "0 rows"), (1, "1 row"), (1200, "1,200 rows")])
def test_things_are_counted(number: int, expected: str) -> None:
    assert counted(number, "row") == expected
