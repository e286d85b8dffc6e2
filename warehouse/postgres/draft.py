"""A first policy for a live database, for a person to review: ``draft_system``.

What belongs here: choosing what a policy can say of each table, and writing it as readable YAML. Guesses by name are in
``guesses``; what a policy can declare of a live table is decided by the contract, so that a draft passes it.

A draft decides nothing: every table is ``reviewed: false``, erasure and retention are ``undecided``, and what may be
personal is ``unreviewed``. The verbs that need a decision refuse it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence

import yaml

from warehouse.catalog.base import IDENTIFIER, MAX_IDENTIFIER, RESERVED_SUFFIX, join_name
from warehouse.errors import ConfigurationError
from warehouse.postgres import guesses
from warehouse.postgres.bounds import direct, hash_slot, is_default, is_open, modulus_of, period_of, spans_of
from warehouse.postgres.carriage import refusal
from warehouse.postgres.contract import declarable, usable_keys
from warehouse.postgres.contract_partitions import is_sayable
from warehouse.postgres.drafted_persons import Drafted, PersonGuess, Way, guess_person, guess_ways
from warehouse.postgres.introspection import LiveColumn, LiveTable, read_tables
from warehouse.postgres.sessions import Connection
from warehouse.postgres.surroundings import Surroundings, read_surroundings

_LONGEST = MAX_IDENTIFIER - RESERVED_SUFFIX
_PLAIN = re.compile(r"[^\W\d][\w ]*")
_HEADER = """\
# A first draft of the policy of {name}, read from its database. It holds guesses and decides nothing.
#
# Next, with somebody who knows the data:
#   1. Correct owner, laws, history_starts and person.
#   2. Per table: say what a row is; replace every `personal: unreviewed` by a kind or remove it; check subjects.
#   3. Per table: decide retention and erasure (delete, redact, pseudonymise, exempt with a reason, no_person).
#   4. Remove `reviewed: false` when a table is decided. Until then erasure, tiering and retention refuse it.
#   5. Run `drivetrain catalog check`.
"""
_PATTERNS = {
    "day": "{table}_y{year}m{month}d{day}",
    "week": "{table}_y{year}w{week}",
    "month": "{table}_y{year}m{month}",
    "quarter": "{table}_y{year}q{quarter}",
    "year": "{table}_y{year}",
}


def draft_system(connection: Connection, name: str) -> str:
    """Write a first policy for the database that the session is connected to.

    Args:
        connection: a canonical session (``sessions.connect``); only the database's own catalog is read.
        name: of the system: a lower-case identifier.

    Returns:
        YAML that ``catalog.loader.parse_system`` reads and that ``contract.check_system`` finds no error in (but what
        the reading role lacks: privileges, or a way past row-level security).

    Raises:
        ConfigurationError: the name is no identifier, or the database has no table that a policy can declare.
    """
    if not IDENTIFIER.fullmatch(name) or len(name) > _LONGEST:
        raise ConfigurationError(
            f"{name!r} is no name for a system",
            hint=f"Lower-case letters, digits and underscores, at most {_LONGEST}: it names a file and a schema.",
        )
    around = read_surroundings(connection)
    live = read_tables(connection, sorted({schema for schema, _ in around.tables}))
    own = {key: table for key, table in live.items() if key not in around.of_extensions}
    tables = _drafted(own)
    if not tables:
        raise ConfigurationError(
            f"the database of {name} has no table that a policy can declare",
            hint="Is it the right database, and may this role see its schemas?",
        )
    main = _main_schema(tables)
    person = guess_person(tables)
    ways = guess_ways(tables, person)
    lines = [
        _HEADER.format(name=name).rstrip("\n"),
        *(["#", *notes] if (notes := list(_left_out(own, tables, around))) else []),
        "",
        f"system: {name}",
        f"title: {name}",
        f"description: {_quoted(f'The database of {name}.')}",
        "owner: nobody yet",
        "laws: []  # gdpr, ccpa, dpdp",
        *([f"schema: {_text(main)}"] if main != "public" else []),
        f"history_starts: {_history_starts(own)}",
        *_person_lines(person),
        "",
        "tables:",
    ]
    for table in sorted(tables, key=lambda each: each.name):
        lines += [*_table_lines(table, main, ways.get(table.name, ())), ""]
    return "\n".join(lines).rstrip() + "\n"


# --- choosing -------------------------------------------------------------------------------------------------


def _drafted(live: Mapping[tuple[str, str], LiveTable]) -> list[Drafted]:
    """The tables that a policy can declare, each under a name of its own."""
    found: list[Drafted] = []
    taken: set[str] = set()
    # The tables whose names need no change keep them, whoever else would like to have them.
    order = sorted(live, key=lambda key: (key[0] != "public", _safe(key[1]) != key[1], key))
    for schema, original in order:
        table = live[schema, original]
        reasons = declarable(table)
        columns = {column.name: column for column in table.columns if reasons[column.name] is None}
        if not columns:
            continue
        name = _safe(original)
        if name in taken:
            name = _safe(f"{schema}_{_safe(original)}")
        number = 2
        while name in taken:
            name = f"{_safe(original)[: _LONGEST - 4]}_{number}"
            number += 1
        taken.add(name)
        keys = usable_keys(table)
        found.append(Drafted(name, table, columns, keys[0] if keys else (), reasons))
    return found


def _safe(original: str) -> str:
    """A lower-case identifier that reads like the original; the original itself wherever it is one."""
    if IDENTIFIER.fullmatch(original) and len(original) <= _LONGEST:
        return original
    plain = re.sub(r"[^a-z0-9_]+", "_", guesses.words(original).encode("ascii", "ignore").decode()).strip("_")
    plain = f"t_{plain}" if not plain or plain[0].isdigit() else plain
    return plain[:_LONGEST].rstrip("_") if plain != "t_" else "table"


def _main_schema(tables: Sequence[Drafted]) -> str:
    schemas = [drafted.live.schema for drafted in tables if _safe(drafted.live.schema) == drafted.live.schema]
    return "public" if "public" in schemas or not schemas else max(sorted(set(schemas)), key=schemas.count)


def _history_starts(live: Mapping[tuple[str, str], LiveTable]) -> str:
    """The month and where it is from; a partition of before 1970 is for what has no date."""
    spans = [span for table in live.values() for span in spans_of(table).values()]
    starts = [span.start for span in spans if span.start.year >= 1970]
    if starts:
        return f"{min(starts):%Y-%m}-01  # a guess, from the earliest partition; review it"
    last_year = dt.datetime.now(dt.UTC).year - 1
    return f"{last_year}-01-01  # nothing in the database says it: review; what is older counts into this month"


# --- writing --------------------------------------------------------------------------------------------------


def _left_out(
    own: Mapping[tuple[str, str], LiveTable], tables: Sequence[Drafted], around: Surroundings
) -> Iterator[str]:
    drafted = {(each.live.schema, each.live.name) for each in tables}
    for key in own:
        if key not in drafted:
            yield f"# Left out: table {_comment(*key)}, because no column of it can be declared."
    for key, kind in around.rowless:
        if key not in around.of_extensions:
            yield f"# Left out: {kind} {_comment(*key)}, which holds no rows of its own."
    for key in sorted(around.of_extensions & around.tables):
        yield f"# Left out: table {_comment(*key)}, which an extension brought."


def _person_lines(person: PersonGuess | None) -> Iterator[str]:
    if person is None:
        yield "# person: none was found. If a table lists persons:"
        yield "# person: {table: users, key: id, identifiers: {email: email}}"
        return
    named = ", ".join(f"{_text(column)}: {kind}" for column, kind in person.identifiers.items())
    yield f"person:  # a guess, from {person.reason}"
    yield f"  table: {_text(person.table)}"
    yield f"  key: {_text(person.key)}"
    yield f"  identifiers: {{{named}}}"


def _table_lines(drafted: Drafted, main: str, ways: Sequence[Way]) -> Iterator[str]:
    live = drafted.live
    yield f"  {_text(drafted.name)}:"
    yield f"    description: {_quoted(live.comment or 'Not described yet.')}"
    if (live.schema, live.name) != (main, drafted.name):
        yield f"    source: {_quoted(join_name(live.schema, live.name))}"
    yield f"    key: {_list(drafted.key)}" + ("" if drafted.key else "  # no key whose columns are never NULL")
    if ways:
        yield f"    subjects: {_list([way.text for way in ways])}  # a guess: {'; '.join(way.reason for way in ways)}"
    partition, time, mode = _partition_lines(drafted)
    time = time or guesses.event_time(drafted.columns)
    if time is not None:
        yield f"    time: {_text(time)}  # a guess" if not mode else f"    time: {_text(time)}"
    changed = guesses.change_time(drafted.columns)
    if mode and drafted.key:
        yield "    ingest: {mode: partition}"
    elif changed is not None and drafted.key:
        yield f"    ingest: {{mode: incremental, cursor: {_text(changed)}}}  # a guess: it moves with every change"
    else:
        yield "    ingest: {mode: full}"
    yield from partition
    yield "    retention: undecided"
    yield "    erasure: undecided"
    yield "    reviewed: false"
    yield "    columns:"
    followed = {way.column for way in ways}
    for column in live.columns:
        yield _column_line(drafted, column, column.name in followed, column.name == time)


def _column_line(drafted: Drafted, column: LiveColumn, followed: bool, is_time: bool) -> str:
    if (reason := drafted.reasons[column.name]) is not None:
        left = f"      # left out: column {_comment(column.name)}, because {_comment(reason)}"
        return left + ("; or {type: text, cast: text}" if refusal(column) else "")
    # A domain arrives as what it rests on, and is called so.
    kind = column.type.carrier if column.type.through_domain or is_time else column.type.name
    guess = "person_id" if followed else guesses.personal_kind(drafted.live.name, column)
    personal = ", personal: unreviewed" if guess else ""
    said = f"type: {_text(kind)}, description: {_quoted(column.comment or '')}{personal}"
    return f"      {_text(column.name)}: {{{said}}}" + (f"  # a guess: {guess}" if guess else "")


def _partition_lines(drafted: Drafted) -> tuple[list[str], str | None, bool]:
    """The lines on partitioning, its time column, and whether mode partition suits it."""
    live = drafted.live
    if not live.strategy:
        return [], None, False
    if not is_sayable(live) or live.partition_columns[0] not in drafted.columns:
        columns = ", ".join(_comment(each) if each else "an expression" for each in live.partition_columns)
        return [f"    # Partitioned by {live.strategy} ({columns}) in a way that a policy cannot say."], None, False
    lines: list[str] = []
    for partition in direct(live):
        if is_default(partition):
            lines.append(f"    # {_comment(partition.name)} is a default partition: see `drivetrain catalog check`.")
        elif is_open(partition):
            lines.append(f"    # {_comment(partition.name)} has no end: see `drivetrain catalog check`.")
    if any(partition.level > 1 for partition in live.partitions):
        lines.append("    # Some partitions are partitioned themselves, which the policy does not say.")
    column = live.partition_columns[0]
    match live.strategy:
        case "range":
            every = period_of(live)
            assert every is not None  # is_sayable
            pattern = guesses.range_pattern(live.name, spans_of(live), every) or _PATTERNS[every]
            lines.append(f"    partition: {{range: {_text(column)}, every: {every}, name: {_quoted(pattern)}}}")
            return lines, column, drafted.columns[column].not_null
        case "hash":
            slots = {p.name: slot[1] for p in direct(live) if (slot := hash_slot(p)) is not None}
            pattern = guesses.hash_pattern(live.name, slots) or "{table}_p{remainder}"
            lines.append(
                f"    partition: {{hash: {_text(column)}, modulus: {modulus_of(live)}, name: {_quoted(pattern)}}}"
            )
        case _:
            lines.append(f"    partition: {{list: {_text(column)}}}")
    return lines, None, False


def _list(items: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, items))}]"


def _text(value: str) -> str:
    """A value as YAML, bare where YAML reads it back as the same text."""
    bare = value.replace(" -> ", " ").replace(".", "")
    if _PLAIN.fullmatch(bare) and bare.isprintable() and yaml.safe_load(value) == value:
        return value
    return _quoted(value)


def _quoted(value: str) -> str:
    return yaml.dump(value, default_style='"', width=float("inf"), allow_unicode=True).strip()


def _comment(*names: str) -> str:
    """Text from the database inside a comment: on one line, whatever it contains."""
    text = join_name(*names)
    return text if text.isprintable() and text.isascii() else _quoted(text)
