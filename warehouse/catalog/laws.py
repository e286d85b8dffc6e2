"""What each law gives as time to answer a person, as reviewed configuration: ``laws.yaml`` and its model.

What does not belong here: computing a deadline (``warehouse.erasure.deadlines``), and which law a system is under
(``System.laws``).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from warehouse.catalog.base import Policy
from warehouse.catalog.model import Law
from warehouse.errors import CatalogError

FILE = Path(__file__).with_name("laws.yaml")
PeriodUnit = Literal["day", "business day", "month", "year"]
_PERIOD = re.compile(rf"([0-9]{{1,3}}) ({'|'.join(get_args(PeriodUnit))})s?")


class _Part(Policy):
    """Base of what ``laws.yaml`` is made of; a field of it is no field of a system's file."""


class Period(_Part):
    """A length of time as laws write it: ``1 month``, ``10 business days``."""

    count: int = Field(ge=1, le=999)
    unit: PeriodUnit

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'' if self.count == 1 else 's'}"


def _parse_period(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _PERIOD.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is no period: write for example '1 month', '45 days' or '10 business days'")
    return {"count": int(match[1]), "unit": match[2]}


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone: write for example 'Europe/Brussels'") from None
    return value


class Term(_Part):
    """A period, and where the law says so."""

    within: Annotated[Period, BeforeValidator(_parse_period)]
    source: str = Field(min_length=1)


class LawTerms(_Part):
    """The terms of one law.

    Attributes:
        zone: the time zone whose days are counted.
        answer: from receipt to the answer, extension apart.
        confirm: from receipt to its confirmation, where the law asks for one.
        extension: how much longer the answer may take, if the person is told so and why within the first period.
        keep: how long data are kept at least, from their processing: until then they are restricted and not erased.
        ends_on_working_day: where the law says that a period does not end on a Saturday or Sunday; None: it may.
        reviewed: when somebody last held this against the law.
        review_by: when that is due again.
    """

    title: str
    zone: Annotated[str, AfterValidator(_zone)]
    answer: Term
    confirm: Term | None = None
    extension: Term | None = None
    keep: Term | None = None
    ends_on_working_day: str | None = None
    reviewed: dt.date
    review_by: dt.date

    @model_validator(mode="after")
    def _reviewed_in_time(self) -> Self:
        if self.review_by <= self.reviewed:
            raise ValueError("review_by is a day after reviewed")
        return self


_LAWS: TypeAdapter[dict[Law, LawTerms]] = TypeAdapter(dict[Law, LawTerms])


def parse_laws(text: str, file: str) -> Mapping[Law, LawTerms]:
    """Read the terms of every law that a system can be under.

    Raises:
        CatalogError: with every problem found.
    """
    try:
        laws = _LAWS.validate_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise CatalogError([f"{file}: not readable as YAML: {error}"]) from None
    except ValidationError as error:
        problems = [
            f"{file}: {'.'.join(map(str, item['loc'])) or 'file'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise CatalogError(problems) from None
    if missing := sorted(set(get_args(Law)) - set(laws)):
        raise CatalogError([f"{file}: no terms of {', '.join(missing)}"])
    return laws


@cache
def load_laws() -> Mapping[Law, LawTerms]:
    """The project's own ``laws.yaml``.

    Raises:
        CatalogError: it is malformed.
    """
    return parse_laws(FILE.read_text(encoding="utf-8"), FILE.name)
