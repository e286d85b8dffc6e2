"""Identifiers as people write them: read, made comparable, masked, and never quoted."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from warehouse.catalog.model import IdentifierKind
from warehouse.erasure.identifiers import KINDS, mask, parse_identifier
from warehouse.errors import ConfigurationError


@pytest.mark.parametrize(
    ("kind", "spellings", "normalised"),
    [
        ("email", ["Anna@Example.org", " anna@example.ORG\n"], "anna@example.org"),
        ("phone", ["+49 171 234-5678", "+491712345678", "+49.171.2345678", "+49/171/2345678"], "+491712345678"),
        ("phone", ["0171 2345678", "(0171) 2345678"], "01712345678"),
        ("phone", ["+९१ ९८१२३ ४५६७८", "+91 98123 45678"], "+919812345678"),
        ("username", ["Bob", "bob ", "BOB"], "bob"),
        ("username", ["Zoë", "Zoe\u0308"], "zoë"),
        ("external_id", ["COIMBRES13DEL01", "coimbres13del01"], "coimbres13del01"),
        ("government_id", ["ABCPX 1234-K", "abcpx1234k"], "abcpx1234k"),
    ],
)
def test_spellings_of_the_same(kind: IdentifierKind, spellings: list[str], normalised: str) -> None:
    assert {parse_identifier(kind, each).normalised for each in spellings} == {normalised}


def test_no_country_is_guessed() -> None:
    assert parse_identifier("phone", "0049171234567").normalised == "0049171234567"
    assert parse_identifier("phone", "+49171234567").normalised != parse_identifier("phone", "49171234567").normalised


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind in KINDS for text in ("", "  ", "a\x00b@c", "x" * 2000)]
    + [("email", text) for text in ("anna", "@x", "anna@", "Anna <anna@x>", "a b@c")]
    + [("phone", text) for text in ("12345", "+49", "+49 (0) 171 2345678", "+49171x2345678", "anna", "0000000000",
                                    "123456789²", "+0171 2345678", "+1234567890123456", "+491712345678+")]
    + [("government_id", "-- --")],
)  # fmt: skip
def test_what_nobody_is_found_by_is_refused_without_quoting_it(kind: IdentifierKind, text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_identifier(kind, text)
    assert len(text.strip()) < 4 or text.strip() not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [("email", "anna@example.org", "a***@example.org"), ("phone", "+491712345678", "***78"), ("phone", "1234", "***"),
     ("username", "anna", "a***"), ("username", "ann", "***"), ("government_id", "ABCPX1234K", "***4K")],
)  # fmt: skip
def test_masks(kind: IdentifierKind, text: str, shown: str) -> None:
    assert mask(kind, text) == shown


@given(st.sampled_from(KINDS), st.text(min_size=4, max_size=40))
def test_nothing_shows_an_identifier(kind: IdentifierKind, text: str) -> None:
    text = {"email": f"{text}@example.org", "phone": "+49171234567"}.get(kind, text)
    try:
        identifier = parse_identifier(kind, text)
    except ConfigurationError:
        assume(False)
        return
    assert repr(identifier) == f"Identifier(kind={kind!r})"
    assert identifier.masked != identifier.text
    assert parse_identifier(kind, identifier.text).normalised == identifier.normalised
