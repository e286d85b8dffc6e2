"""Which months are missing, from what is known of them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.ingest.gaps import Gap, find_gaps
from warehouse.ingest.scope import Months, months_of
from warehouse.postgres.fingerprints import EMPTY, Fingerprint
from warehouse.state.content import Content

SOME = Fingerprint(3, "7")
START, TODAY = dt.date(2024, 1, 1), dt.date(2024, 6, 17)


def found(*scopes: str, known: dict[str, Content] | None = None, elsewhere: set[dt.date] | None = None) -> list[Gap]:
    return find_gaps(
        "shop", "orders", starts=START, today=TODAY, scopes=scopes, known=known or {}, elsewhere=elsewhere or set()
    )


def test_what_nobody_compared() -> None:
    (gap,) = found("2024-05 to …", "… to 2024-02")
    assert (gap.months, gap.kind) == ("2024-03 to 2024-04", "never_compared")
    assert gap.backfill == "drivetrain ingest shop.orders --since 2024-03 --until 2024-04"
    assert found("all months") == []


def test_what_differed_is_told_though_it_was_compared() -> None:
    known = {"2024-02": Content(SOME, True), "2024-03": Content(SOME, False)}
    (gap,) = found("all months", known=known)
    assert (gap.months, gap.kind) == ("2024-03", "differs")


def test_an_empty_month_between_others_is_told_and_nothing_to_load() -> None:
    known = {"2024-01": Content(SOME, True), "2024-02": Content(EMPTY, True), "2024-04": Content(SOME, True)}
    (gap,) = found("all months", known=known)
    assert (gap.months, gap.kind, gap.backfill) == ("2024-02 to 2024-03", "empty", None)


def test_months_of_another_tier_are_looked_after_there() -> None:
    assert found("2024-02 to …", elsewhere={START}) == []


_ENDS = st.one_of(st.none(), st.dates(dt.date(1900, 1, 1), dt.date(2999, 1, 1)).map(lambda day: day.replace(day=1)))


@given(_ENDS, _ENDS)
def test_a_scope_is_read_as_it_was_written(first: dt.date | None, last: dt.date | None) -> None:
    assert months_of(str(Months(first, last))) == Months(first, last)


@pytest.mark.parametrize("text", ["whole", "", "2024", "2024-13", "2024-01 to"])
def test_another_text_is_no_scope(text: str) -> None:
    assert months_of(text) is None
