"""``drivetrain certificate``: what it prints, and that checking one takes a public key and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import NOON, certificate
from typer.testing import CliRunner, Result

from pipelines.cli import app, exit_code
from pipelines.cli.output import console
from warehouse.erasure.certificate import issue
from warehouse.erasure.keys import make_keys, read_keys, rotate_keys
from warehouse.errors import ConfigurationError, Tampered


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a certificate, its public key, and the home whose key signed it."""
    for name in [name for name in os.environ if name.startswith("DRIVETRAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DRIVETRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    keys = make_keys(tmp_path / "home/keys/erasure.json", NOON.date())
    (tmp_path / "certificate.json").write_bytes(issue(certificate(), keys, []))
    (tmp_path / "public.pem").write_text(run("public-key").stdout)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["certificate", *arguments], catch_exceptions=False)


def check(*more: str) -> Result:
    return run("verify", "certificate.json", "--public-key", "public.pem", *more)


def test_a_good_one_is_valid(place: Path) -> None:
    with console.capture() as said:
        assert check().exit_code == 0
    assert said.get().startswith("valid  certificate.json\n  C-2026-000017, issued 2026-11-22 by Example Deliveries")
    document = json.loads(check("--json").stdout)
    assert document == {
        "valid": True, "key": read_keys(place / "home/keys/erasure.json").public_keys[0].id,
        "number": "C-2026-000017", "outcome": "completed_pending_backup_expiry",
    }  # fmt: skip


def test_a_changed_one_exits_1_and_says_what_is_wrong(place: Path) -> None:
    file = place / "certificate.json"
    file.write_bytes(file.read_bytes().replace(b"104233", b"104232"))
    with console.capture() as said:
        assert check().exit_code == 1
    assert said.get() == "not valid  certificate.json\n"
    answer = check("--json")
    assert answer.exit_code == 1 and json.loads(answer.stdout)["reason"].startswith("the signature does not fit")


def test_another_key_exits_1_and_a_rotated_one_is_found_among_all(place: Path) -> None:
    rotate_keys(place / "home/keys/erasure.json", NOON.date(), ["sign"])
    (place / "public.pem").write_text(run("public-key").stdout)
    answer = check("--json")
    assert answer.exit_code == 1 and "not among those given" in json.loads(answer.stdout)["reason"]
    (place / "public.pem").write_text(run("public-key", "--all").stdout)
    assert check("--json").exit_code == 0
    assert len(json.loads(run("public-key", "--all", "--json").stdout)) == 2


def test_the_public_key_alone_is_enough(place: Path) -> None:
    """In a fresh process, without a home, a key file, a setting, or any library that talks to a database."""
    (place / "home/keys/erasure.json").unlink()
    code = (
        "import sys; from pathlib import Path\n"
        "from warehouse.erasure.certificate import verify; from warehouse.erasure.keys import parse_public_keys\n"
        "keys = parse_public_keys(Path('public.pem').read_bytes(), 'public.pem')\n"
        "verify(Path('certificate.json').read_bytes(), keys)\n"
        "print(sorted({'psycopg', 'deltalake', 'dagster', 'resources'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PATH": ""})
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["verify", "nowhere.json", "--public-key", "public.pem"], ConfigurationError, "cannot be read"),
        (["verify", "certificate.json", "--public-key", "nowhere.pem"], ConfigurationError, "cannot be read"),
        (["verify", "certificate.json", "--public-key", "certificate.json"], ConfigurationError, "no public key"),
        (["show", "public.pem"], Tampered, "no certificate"),
        (["show", "certificate.json", "--html", "/nowhere/page.html"], ConfigurationError, "cannot be written"),
    ],
)
def test_refusals(place: Path, arguments: list[str], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as refused:
        run(*arguments)
    assert exit_code(refused.value) == (2 if error is ConfigurationError else 1)


def test_a_public_key_needs_a_key_file(place: Path) -> None:
    (place / "home/keys/erasure.json").unlink()
    with pytest.raises(ConfigurationError, match="no such file of keys"):
        run("public-key")


def test_show_for_people_for_scripts_and_to_print(place: Path) -> None:
    with console.capture() as said:
        run("show", "certificate.json")
    text = " ".join(said.get().split())
    for part in (
        "104,233",
        "kept logistics.wallet_ledger: 812 rows",
        "not checked: see `verify`",
        "out of scope Copies",
    ):
        assert part in text
    document = json.loads(run("show", "certificate.json", "--json").stdout)["document"]
    assert document == certificate().model_dump(mode="json")
    with console.capture() as said:
        run("show", "certificate.json", "--html", "page.html")
    assert said.get() == "wrote page.html\n"
    assert (place / "page.html").read_text().startswith("<!DOCTYPE html>")
