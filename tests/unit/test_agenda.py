"""What is said of requests without a database: deadlines, what is next, and when a request gets another run."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any, get_args

import pytest

from resources.attempts import DONE, ELSEWHERE, PAUSES, STOPPED, WAITS, Attempt, standing_against
from warehouse.state.agenda import ANSWERED, Case
from warehouse.state.requests import Request, State

AT = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
WEEK = dt.timedelta(days=7)


def case(state: State = "approved", due: dt.timedelta = WEEK * 3, **changed: Any) -> Case:
    of_request = {field.name for field in dataclasses.fields(Request)}
    found = Request(7, "erasure", "gdpr", "", AT, None, AT + due, AT + due, None, state, None, "somebody", AT)
    found = dataclasses.replace(found, **{name: value for name, value in changed.items() if name in of_request})
    return Case(found, "abc", **{name: value for name, value in changed.items() if name not in of_request})


@pytest.mark.parametrize(
    ("due", "overdue", "soon", "left"),
    [
        (dt.timedelta(days=8), False, False, 8),
        (WEEK, False, True, 7),
        (dt.timedelta(hours=1), False, True, 0),
        (dt.timedelta(), True, False, 0),
        (-dt.timedelta(hours=1), True, False, 0),
        (-dt.timedelta(hours=49), True, False, -2),
    ],
)
def test_a_request_is_late_from_the_moment_it_is_due(due: dt.timedelta, overdue: bool, soon: bool, left: int) -> None:
    found = case("scoping", due)
    assert (found.overdue(AT), found.due_soon(AT, WEEK), found.days_left(AT)) == (overdue, soon, left)
    for state in ANSWERED:
        assert not case(state, due).overdue(AT) and not case(state, due).due_soon(AT, WEEK)


def test_the_confirmation_of_a_receipt_is_due_until_it_is_known_whom_it_is_about() -> None:
    for state, soon in (("received", True), ("verifying", True), ("scoping", False)):
        assert case(state, confirm_by=AT - WEEK).due_soon(AT, WEEK) == soon
    assert not case("received", confirm_by=AT + WEEK * 2).due_soon(AT, WEEK)


def test_every_open_state_says_what_is_next() -> None:
    for state in get_args(State):
        assert bool(case(state).next) == case(state).open, state
    assert case("awaiting_approval").next.endswith("`drivetrain erasure approve 7 --plan abc`")


def test_it_is_the_platforms_turn_once_an_erasure_is_approved() -> None:
    turns = {state for state in get_args(State) if case(state).to_carry_out}
    assert turns == {"approved", "restricting", "executing", "retry_wait", "rebuilding", "verifying_erasure"}
    assert not case(kind="export").to_carry_out


def ended(outcome: str, ago: dt.timedelta = dt.timedelta(), plan: str = "abc") -> Attempt:
    return Attempt("run", False, plan, outcome, AT - ago)


MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("attempts", "against"),
    [
        ([], ""),
        ([Attempt("run", True)], "queued or at work"),
        ([ended(WAITS)], "is tried again after 2026-03-15 12:05"),
        ([ended(WAITS, 6 * MINUTE)], ""),
        ([ended(""), ended(WAITS)], "after 2026-03-15 12:15"),  # it was killed
        ([ended(ELSEWHERE, 6 * MINUTE)], ""),  # and who was on it is gone
        ([ended(WAITS)] * 9, "after 2026-03-15 16:00"),
        ([ended(WAITS, PAUSES[-1])] * 9, ""),
        ([ended(STOPPED, DAY)], "see why its last run stopped"),
        ([ended(WAITS, DAY), ended(STOPPED, DAY)], ""),  # somebody launched it again
        ([ended(STOPPED, plan="another")], ""),  # it was planned and approved anew since
        ([ended(DONE, DAY)], ""),  # something was found later
    ],
)
def test_attempts_come_one_at_a_time_and_later_and_later(attempts: list[Attempt], against: str) -> None:
    found = standing_against(case(), attempts, AT)
    assert against in found and bool(against) == bool(found)
    assert standing_against(case(worked_on=True), attempts, AT) == "somebody is at work on it"
