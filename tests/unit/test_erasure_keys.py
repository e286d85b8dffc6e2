"""The key file and what is done with it: old keys still open and verify, nothing shows a secret, damage is said."""

from __future__ import annotations

import base64
import datetime as dt
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.keys import ensure_keys, keys_file, load_keys
from resources.settings import Settings
from warehouse.erasure.keys import Keys, make_keys, new_keys, parse_public_keys, read_keys, rotate_keys
from warehouse.errors import ConfigurationError, Tampered

TODAY = dt.date(2026, 11, 22)
KEYS = new_keys(TODAY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys" / "erasure.json", TODAY)
    return tmp_path / "keys" / "erasure.json"


@given(st.binary(), st.binary())
def test_what_is_sealed_opens_where_it_belongs_and_nowhere_else(content: bytes, about: bytes) -> None:
    sealed = KEYS.seal(content, about)
    assert KEYS.open(sealed, about) == content
    assert KEYS.seal(content, about) != sealed, "the same text twice does not look the same"
    with pytest.raises(Tampered):
        KEYS.open(sealed, about + b"x")


@given(st.data())
def test_any_changed_byte_of_what_is_sealed_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(KEYS.seal(b"someone@example.org"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((Tampered, ConfigurationError)):
        KEYS.open(bytes(sealed))


@given(st.integers(0, 60))
def test_what_is_cut_short_is_noticed(size: int) -> None:
    sealed = KEYS.seal(b"someone@example.org")
    with pytest.raises(Tampered):
        KEYS.open(sealed[: min(size, len(sealed) - 1)])


def test_old_keys_still_open_compare_and_verify(file: Path) -> None:
    old = read_keys(file)
    sealed, digest, signature = old.seal(b"x"), old.digest("email", "a@b"), old.sign(b"x")
    new = rotate_keys(file, TODAY)
    assert new.open(sealed) == b"x"
    assert new.digest("email", "a@b") != digest and digest in new.digests("email", "a@b")
    assert signature.key in new.public_keys and new.sign(b"x").key != signature.key
    assert new.public_keys[1].verifies(b"x", signature.value)
    assert not new.public_keys[0].verifies(b"x", signature.value)
    assert read_keys(file) == new
    with pytest.raises(
        ConfigurationError, match=r"sealed with the key [0-9a-f]{16}, which .*erasure.json does not have"
    ):
        old.open(new.seal(b"x"))


def test_one_use_alone_is_rotated(file: Path) -> None:
    old, new = read_keys(file), rotate_keys(file, TODAY, ["sign"])
    assert (len(new.sign_keys), new.seal_keys, new.digest_keys) == (2, old.seal_keys, old.digest_keys)


def test_a_digest_depends_on_key_kind_and_value() -> None:
    given = [(KEYS, "email", "a"), (KEYS, "phone", "a"), (KEYS, "email", "b"), (new_keys(TODAY), "email", "a")]
    assert len({keys.digest(kind, value) for keys, kind, value in given}) == 4
    assert KEYS.digest("email", "a") == KEYS.digest("email", "a")


def test_nothing_shows_a_secret(file: Path) -> None:
    keys = read_keys(file)
    shown = f"{keys!r} {keys} {keys.sign(b'x')!r}"
    for key in (*keys.seal_keys, *keys.digest_keys, *keys.sign_keys):
        for form in (key.secret.hex(), base64.b64encode(key.secret).decode(), repr(key.secret)[2:-1]):
            assert form not in shown


def test_the_file_is_for_its_owner_alone(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["erasure.json"]
    for mode in (0o640, 0o604, 0o620, 0o666):
        file.chmod(mode)
        with pytest.raises(ConfigurationError, match=f"mode {mode:04o}") as refused:
            read_keys(file)
        assert "chmod 600" in refused.value.hint
    file.chmod(0o400)
    read_keys(file)


def test_a_missing_file_is_said_and_not_made(tmp_path: Path) -> None:
    settings = Settings({"DRIVETRAIN_HOME": str(tmp_path / "home")})
    with pytest.raises(ConfigurationError, match="no such file of keys"):
        load_keys(settings)
    assert not (tmp_path / "home").exists()
    made = ensure_keys(settings)
    assert ensure_keys(settings) == load_keys(settings) == made
    assert stat.S_IMODE((tmp_path / "home" / "keys").stat().st_mode) == 0o700


def test_the_setting_names_another_file(tmp_path: Path) -> None:
    settings = Settings({"DRIVETRAIN_HOME": str(tmp_path / "home"), "DRIVETRAIN_KEYS": str(tmp_path / "a" / "b.json")})
    assert keys_file(settings) == tmp_path / "a" / "b.json"
    ensure_keys(settings)
    assert not (tmp_path / "home").exists() and (tmp_path / "a" / "b.json").is_file()


def test_a_file_that_is_there_is_never_overwritten(file: Path) -> None:
    before = file.read_bytes()
    assert make_keys(file, TODAY) == read_keys(file)
    assert file.read_bytes() == before


def test_two_that_make_the_file_at_once_have_the_same_keys(tmp_path: Path) -> None:
    code = (
        "import sys, datetime, pathlib; from warehouse.erasure.keys import make_keys\n"
        "print(make_keys(pathlib.Path(sys.argv[1]), datetime.date(2026, 11, 22)).public_keys[0].id)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "keys.json")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in processes}) == 1


def damaged(content: bytes) -> list[bytes]:
    document = json.loads(content)
    wrong = [b"", b"{", b"\xff\xfe", content[: len(content) // 2], b"[]", b"null"]
    for change in (
        {"format": "drivetrain-keys-2"}, {"seal": []}, {"sign": document["seal"]}, {"more": 1},
        {"seal": document["seal"] * 2}, {"digest": [{**document["digest"][0], "secret": "c2hvcnQ="}]},
        {"digest": [{**document["digest"][0], "secret": "!!!"}]}, {"seal": [{**document["seal"][0], "id": "12"}]},
    ):  # fmt: skip
        wrong.append(json.dumps({**document, **change}).encode())
    return wrong


def test_a_damaged_file_is_said_without_quoting_it(file: Path) -> None:
    content = file.read_bytes()
    secrets = [key["secret"] for use in ("seal", "digest", "sign") for key in json.loads(content)[use]]
    for wrong in damaged(content):
        file.write_bytes(wrong)
        with pytest.raises(ConfigurationError) as refused:
            read_keys(file)
        assert "backup" in refused.value.hint
        assert not any(secret in str(refused.value) for secret in secrets)
        assert refused.value.__cause__ is None


def test_a_folder_is_no_file_of_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_keys(tmp_path)
    with pytest.raises(ConfigurationError, match="no keys can be written there"):
        make_keys(Path("/proc/keys.json"), TODAY)


def test_public_keys_are_read_back_from_pem() -> None:
    keys: Keys = KEYS.rotated(TODAY)
    text = "".join(f"signing key {key.id}\n{key.pem}\n" for key in keys.public_keys)
    assert parse_public_keys(text.encode(), "f") == list(keys.public_keys)


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                                     b"-----END PUBLIC KEY-----", b"-----BEGIN PRIVATE KEY-----"])  # fmt: skip
def test_what_is_no_public_key_is_said(content: bytes) -> None:
    with pytest.raises(ConfigurationError):
        parse_public_keys(content, "key.pem")
