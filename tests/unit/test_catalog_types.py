"""Types of columns: spelled as the database spells them, and their names without a schema.

What does not belong here: whether a live column is of its declared type (``tests/postgres/test_catalog_contract.py``).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.catalog.types import normalise_type, unqualified

SPELLED = {
    "timestamptz(3)[]": "timestamp(3) with time zone[]",
    "TIMESTAMP  (3)  WITH TIME ZONE": "timestamp(3) with time zone",
    "timestamp": "timestamp without time zone",
    "time(2)": "time(2) without time zone",
    "timetz": "time with time zone",
    "int": "integer",
    "INT8": "bigint",
    "int[3][]": "integer[]",
    "varchar(10)": "character varying(10)",
    "varchar": "character varying",
    "char": "character(1)",
    "character(3)": "character(3)",
    "bpchar": "bpchar",
    '"char"': '"char"',
    "bit": "bit(1)",
    "varbit(3)": "bit varying(3)",
    "decimal( 12, 2 )": "numeric(12,2)",
    "numeric(5,-2)": "numeric(5,-2)",
    "float8": "double precision",
    "bool": "boolean",
    "interval day to second(3)": "interval day to second(3)",
    'App."Order  Status"[]': 'app."Order  Status"[]',
    '"a.b"."c(x)"': '"a.b"."c(x)"',
}


@pytest.mark.parametrize(("given_", "expected"), SPELLED.items())
def test_types_are_spelled_as_the_database_does(given_: str, expected: str) -> None:
    assert normalise_type(given_) == expected


BASES = st.sampled_from(
    ["int", "timestamptz", "varchar", "bit", "char", "text", "mood", 'app."My ""Type"""', '"char"', "time"]
)


@given(
    BASES, st.sampled_from(["", "(3)"]), st.sampled_from(["", "[]", "[][]", " [3]"]), st.sampled_from(["", " ", "\t"])
)
def test_a_normalised_type_stays_as_it_is(base: str, arguments: str, array: str, blank: str) -> None:
    once = normalise_type(f"{blank}{base}{blank}{arguments}{array}{blank}")
    assert normalise_type(once) == once
    assert once.endswith("[]") == bool(array)
    if '"' not in base:
        assert normalise_type(f"{base}{arguments}{array}".upper()) == once


@given(st.text())
def test_any_text_is_a_type_or_refused(text: str) -> None:
    try:
        once = normalise_type(text)
    except ValueError:
        return
    assert normalise_type(once) == once


@pytest.mark.parametrize(
    ("text", "bare"),
    [("app.mood", "mood"), ("mood", "mood"), ('"a.b"."C.d"[]', '"C.d"[]'), ("app.geo(point,4)", "geo(point,4)"),
     ("timestamp(3) with time zone", "timestamp(3) with time zone"), ("numeric(12,2)", "numeric(12,2)")],
)  # fmt: skip
def test_unqualified(text: str, bare: str) -> None:
    assert unqualified(text) == bare
