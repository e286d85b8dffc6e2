"""One spelling per document: what RFC 8785 says of documents without fractions, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.canonical import LARGEST, canonical, parse_canonical, sha256

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_members_are_sorted_by_utf_16_and_escapes_are_the_standards() -> None:
    """The example of RFC 8785, section 3.2.3, and its escapes of 3.2.2.2."""
    names = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(canonical(names)).values()) == [2, 4, 6, 7, 1, 5, 3]
    assert (
        canonical("\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/") == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()
    )
    assert canonical({"b": [True, None], "a": -0}) == b'{"a":0,"b":[true,null]}'


@given(VALUES)
def test_what_is_written_is_read_and_has_one_spelling(value: Any) -> None:
    content = canonical(value)
    assert parse_canonical(content) == value
    assert canonical(parse_canonical(content)) == content


@given(st.dictionaries(TEXT, VALUES, max_size=5), st.randoms())
def test_the_order_of_writing_does_not_matter(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert canonical(dict(items)) == canonical(value)
    assert sha256(dict(items)) == sha256(value)


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), Decimal(1), 2**53, -(2**53), b"x", {1: 2}, dt.date(2026, 1, 1), "\ud800", {"\ud800": 1}, {1}],
)
def test_what_readers_would_not_agree_on_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        canonical([value])


@pytest.mark.parametrize(
    "content",
    [b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1}\n', b'{"a":1.0}', b'{"a":1e2}', b'"\\u0041"', b"\xff",
     b"", b"NaN", b"[" * 100_000, b"9007199254740993", b"-0", b'"\\ud800"'],
)  # fmt: skip
def test_another_spelling_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_canonical(content)
