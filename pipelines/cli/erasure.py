"""``drivetrain erasure``: requests of persons, from filing to the end, by officers and the operator."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from pipelines.cli.output import console, counted, show_json, working
from pipelines.cli.requests_shown import (
    outcome_as_json,
    person_as_json,
    say_next,
    show_outcome,
    show_persons,
    show_plan,
    show_requests,
    show_told,
    told_as_json,
)
from pipelines.cli.subject import read_identifiers
from pipelines.erasing import rebuild_for
from resources import erasure
from resources.settings import Settings
from warehouse.catalog.age import Age, parse_age
from warehouse.catalog.model import IdentifierKind, Law
from warehouse.errors import ConfigurationError, listed
from warehouse.state.requests import DENIALS, RequestKind

app = typer.Typer(
    no_args_is_help=True,
    help="Requests of persons: file, confirm, plan, approve, carry out.\n\n"
    "request → confirm (requester) → plan (operator) → approve (another person) → run (operator).",
)

_JSON = typer.Option("--json", help="Print a JSON document for scripts.")
_NUMBER = typer.Argument(help="The request's number.")


@app.command()
def request(
    law: Annotated[str, typer.Option(help="Under which: gdpr, ccpa or dpdp.")],
    kind: Annotated[
        str, typer.Option(help="erasure; restriction: the data stay, and no reader is shown them; export: a copy.")
    ] = "erasure",
    email: Annotated[list[str] | None, typer.Option(help="Mail address; - reads it from standard input.")] = None,
    phone: Annotated[list[str] | None, typer.Option(help="Telephone number, best with + and country.")] = None,
    username: Annotated[list[str] | None, typer.Option(help="Handle shown to others.")] = None,
    external_id: Annotated[list[str] | None, typer.Option(help="Identifier that others know.")] = None,
    government_id: Annotated[list[str] | None, typer.Option(help="Number of a document.")] = None,
    received: Annotated[
        dt.datetime | None,
        typer.Option(help="Day (UTC) on which the person asked; now if left out.", formats=["%Y-%m-%d"]),
    ] = None,
    reference: Annotated[str, typer.Option(help="Your own: a ticket, a file. Nobody's data.")] = "",
    json: Annotated[bool, _JSON] = False,
) -> None:
    """File a person's request to be erased, to be restricted, or to have a copy, and look who is meant.

    Nothing is deleted.

    What the person is known by is encrypted; what is printed of it is masked.
    """
    given: list[tuple[IdentifierKind, Sequence[str] | None]] = [
        ("email", email), ("phone", phone), ("username", username), ("external_id", external_id),
        ("government_id", government_id),
    ]  # fmt: skip
    identifiers = read_identifiers(given)
    settings = Settings.load()
    asked_at = received.replace(tzinfo=dt.UTC) if received else dt.datetime.now(dt.UTC)
    with _working("Filing …", settings):
        filed = erasure.file_request(settings, _kind(kind), _law(law), identifiers, asked_at, reference)
    if json:
        show_json(
            {
                "request": dataclasses.asdict(filed.request),
                "persons": [person_as_json(match) for match in filed.matches],
            }
        )
        return
    console.print(f"Request {filed.request.id} is filed; answer it by {filed.request.due_at:%Y-%m-%d}.")
    show_persons(filed.matches)
    say_next(filed.request)


@app.command()
def persons(number: Annotated[int, _NUMBER], json: Annotated[bool, _JSON] = False) -> None:
    """Print who may be meant by a request, masked."""
    settings = Settings.load()
    with _working("Looking …", settings):
        found = erasure.persons_of(settings, number)
    if json:
        show_json({"persons": [person_as_json(match) for match in found]})
    else:
        show_persons(found)


@app.command()
def confirm(
    number: Annotated[int, _NUMBER],
    person: Annotated[
        list[str] | None, typer.Option(help="`system:key`, e.g. bikenode:4711; may be given several times.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everybody whom the identifiers lead to.")] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Say whom the request is about, once you have made sure that they ask for themselves. As a requester."""
    if all_ == bool(person):
        raise ConfigurationError(
            "whom is it about?", hint="Give --person, or --all. `erasure persons` shows who may be."
        )
    chosen = None if all_ else [_split(each) for each in person or ()]
    settings = Settings.load()
    with _working("Confirming …", settings):
        confirmed = erasure.confirm(settings, number, chosen)
        found = erasure.tell(settings, number).request
    if json:
        show_json({"request": number, "persons": [{"system": system, "key": key} for system, key in confirmed]})
    else:
        systems = sorted({system for system, _ in confirmed})
        console.print(f"Request {number} is about {counted(len(confirmed), 'person')} ({', '.join(systems)}).")
        for system in systems:
            if found.law not in (laws := settings.catalog().systems[system].laws):
                under = ", ".join(laws) or "no law"
                console.print(f"  [yellow]{system} is under {under}[/] by the catalog; terms are those of {found.law}.")
        say_next(found)


@app.command()
def plan(number: Annotated[int, _NUMBER], json: Annotated[bool, _JSON] = False) -> None:
    """Count what a request demands in every store, and seal that for approval. Deletes nothing; may be repeated."""
    settings = Settings.load()
    with _working("Counting …", settings):
        sealed, _ = erasure.plan(settings, number)
    if json:
        show_json({"request": number, "sha256": sealed.sha256, "plan": sealed.document})
        return
    show_plan(sealed.document)
    console.print(f"Plan {sealed.sha256[:12]} of request {number} is sealed; nothing was deleted.")
    console.print(
        f"  Next, by somebody else: `drivetrain erasure approve {number} --plan {sealed.sha256[:12]}`", style="dim"
    )


@app.command()
def approve(
    number: Annotated[int, _NUMBER],
    plan: Annotated[str, typer.Option(help="Digest of the plan that you looked at; its first 12 digits will do.")],
    valid_for: Annotated[str, typer.Option(help="How long it may be carried out, e.g. 7 days; at most 31.")] = "7 days",
) -> None:
    """Let a plan be carried out. Not as whoever filed the request or confirmed its persons."""
    try:
        age = Age.model_validate(parse_age(valid_for))
    except ValueError:
        raise ConfigurationError(f"--valid-for: {valid_for!r} is no age", hint="For example: 7 days") from None
    now = dt.datetime.now(dt.UTC)
    settings = Settings.load()
    with _working("Approving …", settings):
        approval = erasure.approve(settings, number, plan, age.later(now) - now)
    console.print(
        f"Request {number} is approved by {approval.approved_by} until {approval.expires_at:%Y-%m-%d %H:%M} UTC."
    )
    say_next(erasure.tell(settings, number).request)


@app.command()
def deny(
    number: Annotated[int, _NUMBER],
    reason: Annotated[str, typer.Option(help=f"One of: {', '.join(DENIALS)}.")],
    comment: Annotated[str, typer.Option(help="For the audit log. Nobody's data.")] = "",
) -> None:
    """Refuse a request, with a reason. As an approver."""
    if reason not in DENIALS:
        raise ConfigurationError(f"{reason!r} is no reason", hint=f"There are: {listed(DENIALS, reason)}.")
    settings = Settings.load()
    with _working("Denying …", settings):
        erasure.deny(settings, number, reason, comment)
    console.print(f"Request {number} is denied: {reason}.")


@app.command()
def revoke(
    number: Annotated[int, _NUMBER], why: Annotated[str, typer.Option(help="For the audit log. Nobody's data.")]
) -> None:
    """Take a request back, before anything was deleted."""
    settings = Settings.load()
    with _working("Revoking …", settings):
        erasure.revoke(settings, number, why)
    console.print(f"Request {number} is revoked; nothing was deleted.")


@app.command()
def extend(
    number: Annotated[int, _NUMBER],
    why: Annotated[str, typer.Option(help="What the person was told. Nobody's data.")],
) -> None:
    """Note that the person was told of an extension, in time."""
    settings = Settings.load()
    with _working("Extending …", settings):
        found = erasure.extend(settings, number, why)
    console.print(f"Request {number} is to be answered by {found.due_at:%Y-%m-%d}.")


@app.command()
def run(
    number: Annotated[int, _NUMBER],
    batched: Annotated[
        bool, typer.Option("--batched", help="Leave months in the lake to `erasure batch`, which does them for many.")
    ] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Carry an approved request out, or go on where it was cut off. Somebody else looks everywhere at the end.

    Exits 1 if anything is left, and then there is no certificate.
    """
    from pipelines.cli.running import platform

    settings = Settings.load()
    with working("Erasing …") as tell, platform(settings, tell):
        rebuild = rebuild_for(settings, number)
        outcome = erasure.run(settings, number, rebuild=rebuild, tell=tell, lake=not batched)
    if json:
        show_json(outcome_as_json(outcome))
    else:
        show_outcome(outcome)
    if outcome.verdict is not None and not outcome.certificate:
        raise typer.Exit(1)


@app.command()
def batch(
    due: Annotated[bool, typer.Option("--due", help="Only if one of them has waited long enough.")] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Write the lake anew for all requests that wait for it, in one pass, and end them.

    DRIVETRAIN_ERASURE_WINDOW says how long one waits for others; nobody waits into the last days of a law's time.
    """
    from pipelines.cli.running import platform

    settings = Settings.load()
    with working("Erasing …") as tell, platform(settings, tell):
        outcomes = erasure.run_batch(settings, rebuild=rebuild_for(settings, None), only_due=due, tell=tell)
    if json:
        show_json({"requests": [outcome_as_json(outcome) for outcome in outcomes]})
    for outcome in outcomes if not json else ():
        show_outcome(outcome)
    if not outcomes and not json:
        console.print("No request waits for the lake." if not due else "No request that waits for the lake is due.")
    if not all(outcome.certificate for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def status(
    number: Annotated[int | None, typer.Argument(help="Of this request; a list of all if left out.")] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Print how far requests are, what is due when, and what is next."""
    settings = Settings.load()
    if number is None:
        with _working("Reading …", settings):
            found = erasure.requests(settings)
        if json:
            show_json({"requests": [dataclasses.asdict(each) for each in found]})
        else:
            show_requests(found)
        return
    with _working("Reading …", settings):
        told = erasure.tell(settings, number)
    if json:
        show_json(told_as_json(told))
    else:
        show_told(told)


@contextmanager
def _working(text: str, settings: Settings) -> Generator[None]:
    with console.status(text) as progress, settings.embedded_servers(progress.update):
        yield


def _law(text: str) -> Law:
    known: dict[str, Law] = {"gdpr": "gdpr", "ccpa": "ccpa", "dpdp": "dpdp"}
    if text.lower() not in known:
        raise ConfigurationError(f"no law {text!r} is known", hint=f"There are: {', '.join(known)}.")
    return known[text.lower()]


def _kind(text: str) -> RequestKind:
    known: dict[str, RequestKind] = {"erasure": "erasure", "restriction": "restriction", "export": "export"}
    if text.lower() not in known:
        raise ConfigurationError(f"--kind: there is no {text!r}", hint=f"There are: {', '.join(known)}.")
    return known[text.lower()]


def _split(text: str) -> tuple[str, str]:
    system, colon, key = text.partition(":")
    if not colon or not key:
        raise ConfigurationError(f"--person {system}...: write system:key", hint="For example bikenode:4711.")
    return system, key
