"""By when a request has to be confirmed and answered, from the terms of a law; no clock and no database.

Days are those of the law's own time zone. The day of receipt is not counted, so a period of months ends on the day of
the same number, or on the last day of a month that has none. Business days are Monday to Friday: public holidays are
not known here, and could only make a deadline later.

What does not belong here: the terms themselves (``warehouse.catalog.laws``), and what is done when one passes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from warehouse.catalog.age import Age
from warehouse.catalog.laws import LawTerms, Period
from warehouse.catalog.model import Law
from warehouse.errors import ConfigurationError

_SATURDAY = 5


@dataclass(frozen=True)
class Deadline:
    """The last day on which something can be done in time, and the moment (UTC) from which it is late."""

    day: dt.date
    ends: dt.datetime


@dataclass(frozen=True)
class Deadlines:
    """Of one request under one law.

    Attributes:
        received: the day of receipt, in the law's time zone.
        confirm_by: by when the receipt is confirmed; None: the law does not ask for it.
        notice_by: by when the person must have been told of an extension, with the reasons; None: there is none.
        due: by when the request is answered, as things stand.
        latest: by when at the very latest, if it is extended.
    """

    received: dt.date
    confirm_by: Deadline | None
    notice_by: Deadline | None
    due: Deadline
    latest: Deadline


def deadlines(received_at: dt.datetime, law: LawTerms, *, extended: bool = False) -> Deadlines:
    """Every deadline of a request.

    Args:
        received_at: when it came in, with its time zone.
        law: its terms.
        extended: the person was told of an extension, in time.

    Raises:
        ConfigurationError: the law knows no extension.
    """
    if extended and law.extension is None:
        raise ConfigurationError(f"{law.title} knows no extension", hint="Answer within the first period.")
    received = _day(received_at, law)
    answer = _after(received, law.answer.within)
    first = latest = _ending(answer, law)
    if law.extension is not None:
        # From the end of the first period, not from receipt: after a short month that is earlier, never later.
        latest = _ending(_after(answer, law.extension.within), law)
    return Deadlines(
        received=received,
        confirm_by=_ending(_after(received, law.confirm.within), law) if law.confirm else None,
        notice_by=first if law.extension else None,
        due=latest if extended else first,
        latest=latest,
    )


def strictest(received_at: dt.datetime, laws: Mapping[Law, LawTerms], under: Iterable[Law]) -> Law:
    """Of several laws that may apply, the one whose answer is due first.

    Raises:
        ValueError: there are none.
    """
    return min(under, key=lambda name: (deadlines(received_at, laws[name]).due.ends, name))


def kept_until(processed_at: dt.datetime, law: LawTerms) -> Deadline | None:
    """The last day on which a law demands that data are kept which were processed then; None: it does not.

    Until it ends, the person is restricted instead of erased.
    """
    return _moment(_after(_day(processed_at, law), law.keep.within), law) if law.keep else None


def _day(moment: dt.datetime, law: LawTerms) -> dt.date:
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone is of no certain day")
    return moment.astimezone(ZoneInfo(law.zone)).date()


def _after(day: dt.date, period: Period) -> dt.date:
    match period.unit:
        case "business day":
            return _business_days_after(day, period.count)
        case unit:
            moment = dt.datetime.combine(day, dt.time(), dt.UTC)
            return Age(count=period.count, unit=unit).later(moment).date()


def _business_days_after(day: dt.date, count: int) -> dt.date:
    while count:
        day += dt.timedelta(days=1)
        count -= day.weekday() < _SATURDAY
    return day


def _ending(day: dt.date, law: LawTerms) -> Deadline:
    if law.ends_on_working_day and day.weekday() >= _SATURDAY:
        day += dt.timedelta(days=7 - day.weekday())
    return _moment(day, law)


def _moment(day: dt.date, law: LawTerms) -> Deadline:
    midnight = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), ZoneInfo(law.zone))
    return Deadline(day, midnight.astimezone(dt.UTC))
