"""Ages and intervals as people write them in a policy: ``30 days``, ``6 months``, ``2 years``.

An age is kept as a count and a unit, never as seconds: a month is a calendar month when it is applied to
a date in UTC. ``approximate_days`` exists to order two ages when a policy is checked, and for nothing else.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Unit = Literal["minute", "hour", "day", "week", "month", "year"]
#: Whole minutes, so that 12 months and 1 year are exactly as long.
_MINUTES: dict[Unit, int] = {"minute": 1, "hour": 60, "day": 1440, "week": 10080, "month": 43830, "year": 525960}
_LONGEST = 1000 * _MINUTES["year"]
_PATTERN = re.compile(rf"\s*([0-9]{{1,9}})\s+({'|'.join(get_args(Unit))})s?\s*")


class Age(BaseModel):
    """A length of time in calendar units, e.g. ``Age(count=30, unit="day")``.

    ``<`` and its kin compare lengths (``12 months`` is neither shorter nor longer than ``1 year``); ``==`` compares
    count and unit, as they were written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=0)
    unit: Unit

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self._minutes > _LONGEST:
            raise ValueError(f"{self} is longer than 1000 years")
        return self

    @property
    def _minutes(self) -> int:
        return self.count * _MINUTES[self.unit]

    @property
    def approximate_days(self) -> float:
        """Length in days, with a twelfth of 365.25 days to a month: for ordering ages only."""
        return self._minutes / 1440

    def later(self, moment: dt.datetime) -> dt.datetime:
        """The moment at which what is of ``moment`` has reached the age: calendar months and years, from a first of a
        month exactly, else at most to the last day of the month.

        Raises:
            OverflowError: Python's calendar ends.
        """
        if self.unit not in ("month", "year"):
            return moment + dt.timedelta(minutes=self._minutes)
        months = moment.year * 12 + moment.month - 1 + self.count * (12 if self.unit == "year" else 1)
        year, month = divmod(months, 12)
        if year > dt.MAXYEAR:
            raise OverflowError(f"year {year} is beyond the calendar")
        last = calendar.monthrange(year, month + 1)[1]
        return moment.replace(year=year, month=month + 1, day=min(moment.day, last))

    def earlier(self, moment: dt.datetime) -> dt.datetime:
        """What is of an earlier moment than this has reached the age by ``moment``; where a month is too short for the
        day, its last day.

        Raises:
            OverflowError: Python's calendar begins.
        """
        if self.unit not in ("month", "year"):
            return moment - dt.timedelta(minutes=self._minutes)
        months = moment.year * 12 + moment.month - 1 - self.count * (12 if self.unit == "year" else 1)
        year, month = divmod(months, 12)
        if year < dt.MINYEAR:
            raise OverflowError(f"year {year} is before the calendar")
        last = calendar.monthrange(year, month + 1)[1]
        return moment.replace(year=year, month=month + 1, day=min(moment.day, last))

    def __lt__(self, other: Age) -> bool:
        return self._minutes < other._minutes

    def __le__(self, other: Age) -> bool:
        return self._minutes <= other._minutes

    def __gt__(self, other: Age) -> bool:
        return self._minutes > other._minutes

    def __ge__(self, other: Age) -> bool:
        return self._minutes >= other._minutes

    def __str__(self) -> str:
        """As PostgreSQL reads an interval and as the policy wrote it: ``30 days``."""
        return f"{self.count} {self.unit}{'' if self.count == 1 else 's'}"


def parse_age(value: Any) -> Any:
    """Read ``"30 days"``; what is neither text nor a number is left for pydantic to judge.

    Raises:
        ValueError: the text is not a whole number and a unit.
    """
    if isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        return value
    match = _PATTERN.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no age: write a whole number and a unit, for example '30 days' or '2 years'")
    return {"count": int(match[1]), "unit": match[2]}


#: What an editor accepts as an age.
AgeShape = Annotated[str, Field(pattern=_PATTERN.pattern.join("^$"), examples=["30 days", "6 months", "2 years"])]
AgeText = Annotated[Age, BeforeValidator(parse_age, json_schema_input_type=AgeShape)]
