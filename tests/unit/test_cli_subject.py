"""``drivetrain subject find`` without a database: values from standard input, refusals, and what is never shown."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.cli import app
from pipelines.cli.output import console
from resources import subjects
from warehouse.catalog.model import System
from warehouse.erasure.identifiers import Identifier
from warehouse.erasure.persons import Hit, Match, Place
from warehouse.errors import ConfigurationError

ANNA = Match("shop", "c-1", "2024-01-05 00:00:00+00", None, {"email": "a***@example.org"},
             (Hit("email", "email", "same", "operational"),))  # fmt: skip


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("DRIVETRAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DRIVETRAIN_HOME", str(tmp_path / "home"))
    for system in ("BIKENODE", "THROTTLECOVE", "LOGISTICS", "CARDDB", "SHOP"):
        monkeypatch.setenv(f"DRIVETRAIN_{system}_DSN", "postgresql://u@127.0.0.1:1/x")
    for other in ("WAREHOUSE", "DAGSTER"):
        monkeypatch.setenv(f"DRIVETRAIN_{other}_DSN", "postgresql://u@127.0.0.1:1/x")
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["subject", "find", *arguments], input=stdin, catch_exceptions=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Place, list[str]]]:
    """What each place was asked for; Anna is in the shop's own database."""
    every: list[tuple[str, Place, list[str]]] = []

    def found(connection: object, system: System, identifiers: list[Identifier], place: Place) -> list[Match] | None:
        every.append((system.system, place, [each.normalised for each in identifiers]))
        if system.system == "carddb":
            return None if place == "warehouse" else []
        return [ANNA] if (system.system, place) == ("shop", "operational") else []

    monkeypatch.setattr(subjects, "find_persons", found)
    monkeypatch.setattr(subjects, "connect", lambda *_, **__: nullcontext())
    return every


def test_values_come_from_standard_input(asked: list[tuple[str, Place, list[str]]]) -> None:
    result = run(
        "--phone", "-", "--email", "-", "--system", "shop", "--json", stdin="Anna@example.org\n+49 171 2345678\n"
    )
    assert asked[0] == ("shop", "operational", ["anna@example.org", "+491712345678"])
    document = json.loads(result.stdout)
    assert document["asked"] == [{"kind": "email", "masked": "A***@example.org"}, {"kind": "phone", "masked": "***78"}]
    (shop,) = document["systems"]
    assert shop["persons"][0]["key"] == "c-1" and shop["persons"][0]["identifiers"] == {"email": "a***@example.org"}
    assert shop["persons"][0]["matched"] == [
        {"column": "email", "kind": "email", "how": "same", "place": "operational"}
    ]
    assert "nna@example.org" not in result.output and result.exit_code == 0


def test_every_system_is_asked_and_says_what_it_does_not_know(asked: list[tuple[str, Place, list[str]]]) -> None:
    with console.capture() as said:
        assert run("--phone", "+491712345678").exit_code == 0
    assert "1 person found in 5 systems." in said.get() and "c-1" in said.get()
    assert "carddb: knows no phone" in said.get() and "carddb: the warehouse has not read its persons" in said.get()
    assert "2345678" not in said.get()


def test_nobody_is_an_answer_and_exits_0(asked: list[tuple[str, Place, list[str]]]) -> None:
    with console.capture() as said:
        assert run("--email", "x@example.org", "--system", "logistics").exit_code == 0
    assert said.get() == "Nobody found in logistics.\n"


def test_a_database_that_is_away_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may be in it: nobody was found is not said of it."""
    with console.capture() as said:
        result = run("--email", "x@example.org", "--system", "shop")
    assert result.exit_code == 1
    assert "not asked shop (operational)" in said.get() and "not asked shop (warehouse)" in said.get()
    document = json.loads(run("--email", "x@example.org", "--system", "shop", "--json").stdout)
    assert [failure["place"] for failure in document["systems"][0]["failures"]] == ["operational", "warehouse"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        ([], None, "nothing to look for"),
        (["--email", "anna"], None, "it is no mail address"),
        (["--email", "-"], "", "standard input ended before the email"),
        (["--email", "-", "--email", "-"], "a@b.c\n", "standard input ended"),
        (["--email", "a@b.c", "--system", "nowhere"], None, "not in the catalog"),
        (["--phone", "+491712345678", "--system", "carddb"], None, "no person of carddb is known by phone"),
    ],
)
def test_refusals(arguments: list[str], stdin: str | None, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run(*arguments, stdin=stdin)
