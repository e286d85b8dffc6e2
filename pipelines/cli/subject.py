"""``drivetrain subject``: who is meant, before anything is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipelines.cli.output import console, counted, errors, show_json
from resources.settings import Settings
from resources.subjects import Answer, find_subjects, systems_with_persons
from warehouse.catalog.model import IdentifierKind
from warehouse.erasure.identifiers import Identifier, parse_identifier
from warehouse.erasure.persons import Hit, Match
from warehouse.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Persons: find who is meant.")

_HOW = {"same": "", "alike": " (spelled otherwise)", "end": " (its last digits only)"}
_MANY = "May be given several times."


@app.callback()
def _group() -> None:
    """A group of its own, though it has one command."""


@app.command()
def find(
    email: Annotated[list[str] | None, typer.Option(help=f"Mail address. {_MANY}")] = None,
    phone: Annotated[list[str] | None, typer.Option(help="Telephone number, best with + and country.")] = None,
    username: Annotated[list[str] | None, typer.Option(help="Handle shown to others.")] = None,
    external_id: Annotated[list[str] | None, typer.Option(help="Identifier that others know, e.g. in links.")] = None,
    government_id: Annotated[list[str] | None, typer.Option(help="Number of a document.")] = None,
    system: Annotated[list[str] | None, typer.Option(help=f"Look only there. {_MANY}")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for scripts.")] = False,
) -> None:
    """Who is known by any of these, in which systems. Shows identifiers masked.

    `-` in place of a value reads it from standard input, a line for each in the order of the options above: what stands
    on a command line is in the shell's history and in the list of processes.

    Nobody found is an answer, and exits 0. Exits 1 if a database could not be asked: somebody may be in it.
    """
    given: list[tuple[IdentifierKind, Sequence[str] | None]] = [
        ("email", email), ("phone", phone), ("username", username), ("external_id", external_id),
        ("government_id", government_id),
    ]  # fmt: skip
    identifiers = read_identifiers(given)
    settings = Settings.load()
    systems = systems_with_persons(settings.catalog(), system or ())
    with console.status("Looking …") as progress, settings.embedded_servers(progress.update):
        answers = find_subjects(settings, systems, identifiers)
    if json:
        asked = [{"kind": each.kind, "masked": each.masked} for each in identifiers]
        show_json({"asked": asked, "systems": [_as_json(answer) for answer in answers]})
    else:
        _show(answers)
    if any(answer.failures for answer in answers):
        raise typer.Exit(1)


def read_identifiers(given: Sequence[tuple[IdentifierKind, Sequence[str] | None]]) -> list[Identifier]:
    """What options say, ``-`` read from standard input.

    Raises:
        ConfigurationError: input ended too early, or nobody could be found by a value.
    """
    found: list[Identifier] = []
    for kind, texts in given:
        for text in texts or ():
            found.append(parse_identifier(kind, _line(kind) if text == "-" else text))
    return found


def _line(kind: IdentifierKind) -> str:
    if sys.stdin.isatty():
        errors.print(f"{kind.replace('_', ' ')}: ", end="")
    line = sys.stdin.readline()
    if not line:
        raise ConfigurationError(
            f"standard input ended before the {kind.replace('_', ' ')}",
            hint="Give a line for each - among the options.",
        )
    return line


def _show(answers: Sequence[Answer]) -> None:
    table = Table(
        "system", "person", "account since", "region", "matched", "known by", "in", box=None, header_style="bold"
    )
    table.columns[1].overflow = "fold"  # to be copied whole
    for answer in answers:
        for match in answer.matches:
            table.add_row(
                answer.system, Text(match.key), match.since or "", Text(match.region or ""), _matched(match.hits),
                Text("\n".join(f"{column} {shown}" for column, shown in match.shown.items())),
                ", ".join(match.places),
            )  # fmt: skip
    persons = sum(len(answer.matches) for answer in answers)
    if persons:
        console.print(table)
    console.print(f"{counted(persons, 'person') if persons else 'Nobody'} found in {_systems(answers)}.")
    for answer in answers:
        if answer.unasked:
            console.print(f"  {answer.system}: knows no {' or '.join(answer.unasked)}".replace("_", " "), style="dim")
        if answer.unread:
            console.print(f"  {answer.system}: the warehouse has not read its persons", style="dim")
        for place, error in answer.failures:
            console.print(f"  [red]not asked[/] {answer.system} ({place}): {escape(str(error))}", soft_wrap=True)


def _systems(answers: Sequence[Answer]) -> str:
    return answers[0].system if len(answers) == 1 else counted(len(answers), "system")


def _matched(hits: Sequence[Hit]) -> Text:
    return Text("\n".join(dict.fromkeys(f"{hit.column}{_HOW[hit.how]}" for hit in hits)))


def _as_json(answer: Answer) -> dict[str, Any]:
    return {
        "system": answer.system,
        "persons": [_person(match) for match in answer.matches],
        "not_known_by": list(answer.unasked),
        "warehouse_has_read_it": not answer.unread,
        "failures": [{"place": place, "error": error.message, "hint": error.hint} for place, error in answer.failures],
    }


def _person(match: Match) -> dict[str, Any]:
    return {
        "key": match.key,
        "since": match.since,
        "region": match.region,
        "identifiers": dict(match.shown),
        "matched": [{"column": h.column, "kind": h.kind, "how": h.how, "place": h.place} for h in match.hits],
    }
