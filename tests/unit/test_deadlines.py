"""Deadlines by the laws' own examples, and what holds of every one of them."""

from __future__ import annotations

import calendar
import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.catalog.laws import FILE, load_laws, parse_laws
from warehouse.erasure.deadlines import deadlines, kept_until, strictest
from warehouse.errors import CatalogError, ConfigurationError

LAWS = load_laws()
GDPR, CCPA, DPDP = LAWS["gdpr"], LAWS["ccpa"], LAWS["dpdp"]
MOMENTS = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))
DAY = dt.timedelta(days=1)


def noon(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{day}T12:00+00:00")


@pytest.mark.parametrize(
    ("received", "due", "latest"),
    [
        ("2024-03-05", "2024-04-05", "2024-06-05"),  # the same number of the next month
        ("2023-08-31", "2023-10-02", "2023-11-30"),  # no 31 September; the 30th was a Saturday
        ("2024-01-31", "2024-02-29", "2024-04-29"),  # a leap year
        ("2023-01-31", "2023-02-28", "2023-04-28"),
        ("2024-12-31", "2025-01-31", "2025-03-31"),  # over the year
        ("2024-05-25", "2024-06-25", "2024-08-26"),  # the extension ended on a Sunday
        ("2026-11-22", "2026-12-22", "2027-02-22"),
    ],
)
def test_gdpr_counts_calendar_months(received: str, due: str, latest: str) -> None:
    found = deadlines(noon(received), GDPR)
    assert (found.due.day.isoformat(), found.latest.day.isoformat()) == (due, latest)
    assert found.notice_by == found.due and found.confirm_by is None
    extended = deadlines(noon(received), GDPR, extended=True)
    assert extended.due == extended.latest == found.latest and extended.notice_by == found.due


def test_ccpa_counts_days_and_confirms_receipt() -> None:
    found = deadlines(noon("2026-11-20"), CCPA)  # a Friday
    assert found.confirm_by is not None and found.confirm_by.day == dt.date(2026, 12, 4)
    assert (found.due.day - found.received, found.latest.day - found.received) == (45 * DAY, 90 * DAY)


def test_dpdp_knows_no_extension_and_demands_keeping() -> None:
    found = deadlines(noon("2026-11-22"), DPDP)
    assert found.latest == found.due and found.notice_by is None
    with pytest.raises(ConfigurationError, match="knows no extension"):
        deadlines(noon("2026-11-22"), DPDP, extended=True)
    kept = kept_until(noon("2024-02-29"), DPDP)
    assert kept is not None and kept.day == dt.date(2025, 2, 28)
    assert kept_until(noon("2024-02-29"), GDPR) is None


def test_a_day_is_the_laws_own_and_ends_at_its_midnight() -> None:
    late = dt.datetime(2026, 3, 5, 23, 30, tzinfo=dt.UTC)
    assert [deadlines(late, law).received.day for law in (GDPR, CCPA, DPDP)] == [6, 5, 6]
    # Brussels is on summer time by then.
    assert deadlines(late, GDPR).due.ends == dt.datetime(2026, 4, 6, 22, 0, tzinfo=dt.UTC)
    with pytest.raises(ValueError, match="time zone"):
        deadlines(dt.datetime(2026, 3, 5), GDPR)


@given(MOMENTS)
def test_gdpr_ends_on_the_same_number_or_the_months_last_day(received_at: dt.datetime) -> None:
    found = deadlines(received_at, GDPR)
    received = found.received
    year, month = (received.year, received.month + 1) if received.month < 12 else (received.year + 1, 1)
    expected = dt.date(year, month, min(received.day, calendar.monthrange(year, month)[1]))
    assert found.due.day == expected or (expected.weekday() >= 5 and found.due.day.weekday() == 0)
    assert dt.timedelta() <= found.due.day - expected <= 2 * DAY
    assert found.due.day.weekday() < 5 and found.latest.day.weekday() < 5
    assert 28 * DAY <= found.due.day - received <= 33 * DAY
    assert 87 * DAY <= found.latest.day - received <= 94 * DAY


@given(MOMENTS, MOMENTS, st.sampled_from(sorted(LAWS)))
def test_who_asks_later_is_never_due_earlier(one: dt.datetime, other: dt.datetime, law: str) -> None:
    first, second = (deadlines(moment, LAWS[law]) for moment in sorted([one, other]))  # type: ignore[index]
    assert first.due.day <= second.due.day and first.latest.day <= second.latest.day
    assert first.due.ends <= first.latest.ends


@given(MOMENTS)
def test_ten_business_days_have_ten_weekdays(received_at: dt.datetime) -> None:
    found = deadlines(received_at, CCPA)
    assert found.confirm_by is not None and found.confirm_by.day.weekday() < 5
    days = (found.received + n * DAY for n in range(1, (found.confirm_by.day - found.received).days + 1))
    assert sum(day.weekday() < 5 for day in days) == 10


@given(MOMENTS, st.sampled_from(sorted(LAWS)))
def test_a_deadline_ends_with_its_day(received_at: dt.datetime, law: str) -> None:
    terms = LAWS[law]  # type: ignore[index]
    found = deadlines(received_at, terms)
    last = (found.due.ends - dt.timedelta(microseconds=1)).astimezone(ZoneInfo(terms.zone))
    assert last.date() == found.due.day and found.due.ends.astimezone(ZoneInfo(terms.zone)).date() > found.due.day
    assert found.due.ends > received_at and found.due.ends.tzinfo is dt.UTC


@given(MOMENTS)
def test_of_several_laws_the_strictest_is_named(received_at: dt.datetime) -> None:
    name = strictest(received_at, LAWS, ["dpdp", "ccpa", "gdpr"])
    assert name == "gdpr"
    assert strictest(received_at, LAWS, ["dpdp", "ccpa"]) == "ccpa"


def test_every_law_says_where_it_says_so_and_when_it_is_reviewed() -> None:
    assert set(LAWS) == {"gdpr", "ccpa", "dpdp"}
    for law in LAWS.values():
        assert law.answer.source and law.reviewed < law.review_by
    assert str(CCPA.confirm.within) == "10 business days" if CCPA.confirm else False


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1 month,", "a month,", "gdpr.answer.within: 'a month' is no period"),
        ("Europe/Brussels", "Europe/Nowhere", "gdpr.zone: 'Europe/Nowhere' is no time zone"),
        ("review_by: 2027-11-22", "review_by: 2026-11-22", "gdpr: review_by is a day after reviewed"),
        ("dpdp:", "pipl:", "pipl"),
        ("ccpa:", "ccpa:\n  more: 1", "ccpa.more"),
    ],
)
def test_a_malformed_law_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        parse_laws(FILE.read_text().replace(old, new, 1), "laws.yaml")
    with pytest.raises(CatalogError):
        parse_laws("{", "laws.yaml")
