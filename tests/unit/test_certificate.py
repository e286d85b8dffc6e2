"""A certificate says what was done, names nobody, and no byte of it can be changed without being noticed."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from typing import Any

import pytest
from certificates import NOON, certificate, facts
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from warehouse.canonical import canonical
from warehouse.catalog.loader import load_catalog
from warehouse.catalog.version import policy_version
from warehouse.erasure.certificate import Certificate, issue, read_certificate, verify
from warehouse.erasure.identifiers import parse_identifier
from warehouse.erasure.keys import new_keys
from warehouse.erasure.page import render_page
from warehouse.errors import DrivetrainError, Tampered

KEYS = new_keys(NOON.date())
FILE = issue(certificate(), KEYS, [])
PUBLIC = list(KEYS.public_keys)


def test_a_certificate_is_verified_with_the_public_key_alone() -> None:
    assert verify(FILE, PUBLIC) == certificate()
    assert verify(FILE, [*new_keys(NOON.date()).public_keys, *PUBLIC]) == certificate()
    assert canonical(json.loads(FILE)) + b"\n" == FILE


def test_old_certificates_verify_after_the_key_was_rotated() -> None:
    rotated = KEYS.rotated(NOON.date(), ["sign"])
    assert verify(FILE, rotated.public_keys) == certificate()
    again = issue(certificate(), rotated, [])
    assert verify(again, rotated.public_keys[:1]) == certificate()
    with pytest.raises(Tampered, match="not among those given"):
        verify(again, PUBLIC)


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
@settings(max_examples=400)
def test_any_changed_byte_is_noticed(at: int, by: int) -> None:
    changed = bytearray(FILE)
    changed[at] ^= by
    with pytest.raises(Tampered):
        verify(bytes(changed), PUBLIC)


@given(st.integers(0, len(FILE)), st.integers(1, 40), st.binary(max_size=40))
def test_what_is_cut_out_or_put_in_is_noticed(at: int, size: int, other: bytes) -> None:
    changed = FILE[:at] + other + FILE[at + size :]
    if changed != FILE:
        with pytest.raises(Tampered):
            verify(changed, PUBLIC)


def test_every_byte_with_a_bit_flipped() -> None:
    """The lowest, or the one that makes a small letter a capital."""
    for at in range(len(FILE)):
        changed = bytearray(FILE)
        changed[at] ^= 1 if at % 2 else 32
        with pytest.raises(Tampered):
            verify(bytes(changed), PUBLIC)


def resigned(change: Any) -> bytes:
    """A file whose envelope was changed and laid out as it should be."""
    envelope = json.loads(FILE)
    change(envelope)
    return canonical(envelope) + b"\n"


CHANGES: dict[str, tuple[Any, str]] = {
    "a count": (lambda e: e["document"]["stores"][0].update(expected=7, actual=7), "the signature does not fit"),
    "an approver": (lambda e: e["document"]["request"].update(approver="someone"), "signature does not fit"),
    "approving oneself": (lambda e: e["document"]["request"].update(approver="asha (officer)"), "does not approve it"),
    "a residue": (lambda e: e["document"]["stores"][0].update(residual=1), "while something is left"),
    "an unknown field": (lambda e: e["document"].update(more=1), "document.more"),
    "a missing field": (lambda e: e["document"].pop("kept"), "document.kept"),
    "another format": (lambda e: e.update(format="drivetrain-signed-2"), "of a kind that is known: format"),
    "another algorithm": (lambda e: e["signature"].update(algorithm="none"), "signature.algorithm"),
    "the key's name": (lambda e: e["signature"].update(key="0" * 16), "key's name was changed"),
    "the fingerprint": (lambda e: e["signature"].update(fingerprint="0" * 64), "not among those given"),
    "no signature": (lambda e: e["signature"].update(value=""), "signature does not fit"),
    "another spelling of it": (lambda e: e["signature"].update(value=e["signature"]["value"] + "="), "not fit"),
    "another's signature": (
        lambda e: e["signature"].update(value=base64.b64encode(KEYS.sign(b"x").value).decode()), "does not fit",
    ),
    "a signature without its context": (
        lambda e: e["signature"].update(value=base64.b64encode(KEYS.sign(canonical(e["document"])).value).decode()),
        "does not fit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_said(what: str) -> None:
    change, said = CHANGES[what]
    with pytest.raises(Tampered, match=said):
        verify(resigned(change), PUBLIC)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "cut short"), (b"\n", "no certificate"), (b"hello\n", "no certificate"), (FILE[:-1], "cut short"),
     (FILE[:-1] + b"\r\n", "canonical"), (FILE + b"\n", "canonical"), (b"\xef\xbb\xbf" + FILE, "no certificate"),
     (json.dumps(json.loads(FILE), indent=2).encode() + b"\n", "laid out anew"), (b"\xff\n", "no UTF-8"),
     (b"[]\n", "known"), (b"null\n", "known"), (b"{}\n", "known"), (b"[" * 9999 + b"\n", "no certificate")],
)  # fmt: skip
def test_what_is_no_certificate_is_said(content: bytes, said: str) -> None:
    for check in (lambda: verify(content, PUBLIC), lambda: read_certificate(content)):
        with pytest.raises(Tampered, match=said):
            check()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "approves oneself": ({"request": {**facts()["request"], "approver": "asha (officer)"}}, "does not approve"),
    "residue": ({"stores": [{**facts()["stores"][0], "residual": 2}]}, "something is left"),
    "found by a check": (
        {"verification": {**facts()["verification"], "checks": [{"what": "x", "looked_at": 1, "found": 1}]}},
        "something is left",
    ),
    "nobody checked": ({"verification": {**facts()["verification"], "checks": []}}, "checks"),
    "fewer than planned": ({"stores": [{**facts()["stores"][0], "actual": 0}]}, "nobody says why"),
    "nothing kept, it says": ({"outcome": "completed"}, "'completed' keeps nothing"),
    "kept, it says": ({"outcome": "completed_with_retention", "kept": []}, "names what is kept"),
    "no backups": ({"backups": None}, "names the day"),
    "expired backups": ({"backups": {"expire_on": dt.date(2026, 1, 1), "how": "x"}}, "names the day"),
    "no hash": ({"plan": {**facts()["plan"], "hash": "x"}}, "plan.hash"),
    "no time zone": ({"issued_at": dt.datetime(2026, 11, 22)}, "issued_at"),
    "backwards": ({"execution": {"started_at": NOON, "finished_at": NOON - dt.timedelta(seconds=1)}}, "before it"),
    "a fraction": ({"stores": [{**facts()["stores"][0], "actual": 1.0}]}, "actual"),
    "below zero": ({"stores": [{**facts()["stores"][0], "residual": -1}]}, "residual"),
    "control characters": ({"issuer": "x\x1b[31m"}, "control characters"),
    "text that turns around": ({"issuer": "x\u202egnp"}, "control characters"),
    "no clock": ({"clocks": []}, "clocks"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_certified(what: str) -> None:
    changed, said = REFUSED[what]
    with pytest.raises(ValidationError, match=re.escape(said)):
        certificate(**changed)


def test_a_difference_is_certified_with_its_reason() -> None:
    store = {**facts()["stores"][0], "actual": 104_230, "why": "three rows reached their age and went by retention"}
    assert certificate(stores=[store]).stores[0].actual == 104_230


@pytest.mark.parametrize("kept", [(), tuple(facts()["kept"])])
def test_outcomes(kept: Any) -> None:
    outcome = "completed_with_retention" if kept else "completed"
    assert certificate(outcome=outcome, kept=kept, backups=None).outcome == outcome
    expired = {"expire_on": NOON.date(), "how": "x"}
    assert certificate(outcome=outcome, kept=kept, backups=expired).outcome == outcome


@pytest.mark.parametrize(
    ("kind", "text", "place"),
    [
        ("email", "Anna@Example.org", "letter to anna@example.org"),
        ("phone", "+91 98123 45678", "called 919812345678"),
        ("phone", "+91 98123 45678", "called +91 98123 45678"),
        ("government_id", "ABCPX 1234-K", "pan abcpx1234k"),
        ("external_id", "COIMBRES13DEL01", "rider COIMBRES13DEL01"),
    ],
)
def test_a_certificate_that_names_the_person_is_not_made(kind: Any, text: str, place: str) -> None:
    identifier = parse_identifier(kind, text)
    named = certificate(out_of_scope=[place])
    with pytest.raises(DrivetrainError, match="would name the person") as refused:
        issue(named, KEYS, [identifier])
    assert text not in str(refused.value) and place not in str(refused.value)
    assert issue(certificate(), KEYS, [identifier, parse_identifier("username", "riders")]) == FILE


def test_times_are_utc_and_there_is_no_fraction() -> None:
    india = dt.timezone(dt.timedelta(hours=5, minutes=30))
    other = certificate(issued_at=(NOON + dt.timedelta(hours=3)).astimezone(india))
    assert issue(other, KEYS, []) == FILE
    assert json.loads(FILE)["document"]["issued_at"] == "2026-11-22T15:00:00Z"


def test_a_document_survives_its_own_json() -> None:
    assert Certificate.model_validate_json(certificate().model_dump_json()) == certificate()


def test_the_policy_version_follows_what_policies_say() -> None:
    catalog = load_catalog()
    assert policy_version(catalog) == policy_version(load_catalog()) and len(policy_version(catalog)) == 64
    systems = dict(reversed(list(catalog.systems.items())))
    assert policy_version(catalog.model_copy(update={"systems": systems})) == policy_version(catalog)
    shop = catalog.systems["shop"].model_copy(update={"owner": "others"})
    assert policy_version(catalog.model_copy(update={"systems": {**catalog.systems, "shop": shop}})) != policy_version(
        catalog
    )


def test_the_page_loads_nothing_and_escapes_what_it_shows() -> None:
    wild = certificate(issuer="<script>alert(1)</script> & Co", out_of_scope=["\"'><img src=x onerror=y>"])
    page = render_page(read_certificate(issue(wild, KEYS, [])))
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page
    assert not re.search(r"(?:src|href|url)\s*[=(]", page.replace("onerror", "").replace("src=x", ""))
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_the_page_says_all_that_the_certificate_says() -> None:
    page = render_page(read_certificate(FILE))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    for store in certificate().stores:
        assert f"{store.system}.{store.locator}" in text and f"{store.expected:,}" in text
    for said in (
        "C-2026-000017", "E-2026-000017", "asha (officer)", "vikram (counsel)", "22 December 2026", "22 November 2034",
        "Income-tax Act 1961", "drivetrain_verifier", "1a1a1a1a", "2b2b2b2b", "3c3c3c3c", "+12 ms", "31 January 2027",
        PUBLIC[0].id, "Erased; backups expire", "Copies that partners received",
    ):  # fmt: skip
        assert said in text, said
