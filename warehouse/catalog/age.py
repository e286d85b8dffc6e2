"""Ages and intervals as people write them in a policy: ``30 days``, ``6 months``, ``2 years``.

An age is kept as a count and a unit, never as seconds: a month is a calendar month when it is applied to
a date in UTC. ``approximate_days`` exists to order two ages when a policy is checked, and for nothing else.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict

Unit = Literal["minute", "hour", "day", "week", "month", "year"]
_DAYS: dict[str, float] = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "month": 30.44, "year": 365.25}
_PATTERN = re.compile(rf"^\s*(\d+)\s+({'|'.join(get_args(Unit))})s?\s*$")


@total_ordering
class Age(BaseModel):
    """A length of time in calendar units, e.g. ``Age(count=30, unit="day")``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int
    unit: Unit

    @property
    def approximate_days(self) -> float:
        """Length in days, with 30.44 days to a month: for ordering ages only."""
        return self.count * _DAYS[self.unit]

    def __lt__(self, other: Age) -> bool:
        return self.approximate_days < other.approximate_days

    def __str__(self) -> str:
        """As PostgreSQL reads an interval and as the policy wrote it: ``30 days``."""
        return f"{self.count} {self.unit}{'' if self.count == 1 else 's'}"


def parse_age(value: Any) -> Any:
    """Read ``"30 days"``; anything that is not text is left for pydantic to judge.

    Raises:
        ValueError: the text is not a whole number and a unit.
    """
    if not isinstance(value, str):
        return value
    match = _PATTERN.match(value)
    if match is None:
        raise ValueError(f"{value!r} is no age: write a whole number and a unit, for example '30 days' or '2 years'")
    return {"count": int(match[1]), "unit": match[2]}


AgeText = Annotated[Age, BeforeValidator(parse_age, json_schema_input_type=str)]
