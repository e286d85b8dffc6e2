"""Ages of rows: written, read back, compared, and refused.

What does not belong here: which ages contradict one another in a policy (``test_catalog_refusals``).
"""

from __future__ import annotations

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.catalog.age import Age, parse_age

UNITS = st.sampled_from(["minute", "hour", "day", "week", "month", "year"])
AGES = st.builds(lambda count, unit: Age(count=count, unit=unit), st.integers(0, 1000), UNITS)


@given(AGES)
def test_an_age_reads_back_as_it_is_written(age: Age) -> None:
    assert Age.model_validate(parse_age(str(age))) == age


@given(AGES, AGES)
def test_ages_are_ordered_by_length(one: Age, other: Age) -> None:
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        assert compare(one, other) == compare(one.approximate_days, other.approximate_days)


@pytest.mark.parametrize(("one", "other"), [("12 months", "1 year"), ("60 minutes", "1 hour"), ("7 days", "1 week")])
def test_equal_lengths_in_other_units(one: str, other: str) -> None:
    first, second = (Age.model_validate(parse_age(text)) for text in (one, other))
    assert first <= second <= first
    assert not first < second
    assert not first > second


@pytest.mark.parametrize(
    "text", ["", "days", "1.5 days", "-1 day", "1 dayz", "1day", "1 day 2 hours", "٣ days", "1e3 days"]
)
def test_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="no age"):
        parse_age(text)
