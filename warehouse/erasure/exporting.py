"""A person's request for a copy of their data: planned, and once it is approved made.

To hand one person's data to another is a breach that nothing mends: so a requester confirms who asks, one person of
each system, and somebody else approves which tables go out, as with an erasure. Rows that came meanwhile are the same
person's and need no new approval; another person or another catalog does. A hold does not stand against it: nothing is
deleted.

What does not belong here: what of shared rows a person may have (``portability``), and where the copy is kept
(``exports``).
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.catalog.version import policy_version
from warehouse.erasure.below import look_below
from warehouse.erasure.estate import Estate
from warehouse.erasure.exports import PLACE, digest_of, forget_unfinished, new_path
from warehouse.erasure.held import holding
from warehouse.erasure.held_cold import LakeRead
from warehouse.erasure.objects import FoundObject, bucket_of, find_objects, quietly, seal
from warehouse.erasure.operational import check_contract, count, operational_reader, raw_reader
from warehouse.erasure.portability import FileContent, Portable, TableRows, write_portable
from warehouse.erasure.requests import APPLICATION, operator_of, scoped
from warehouse.erasure.sealed import Kept, pack
from warehouse.erasure.survey import Line, StoreKind, Survey
from warehouse.errors import ConfigurationError, RequestRefused
from warehouse.lake.store import Store, put_file
from warehouse.postgres.introspection import read_table
from warehouse.postgres.persons import column_types, rows_about
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.state.exports import Amount, Export, begin_export, end_export, read_exports
from warehouse.state.requests import (
    Plan,
    Request,
    move_request,
    read_approval,
    read_plan,
    read_request,
    seal_plan,
    write_scope,
)
from warehouse.state.tiered import tiered

#: How long a copy is kept, if nobody says; and at most.
KEPT, LONGEST = dt.timedelta(days=30), dt.timedelta(days=90)
_REPLANNED = ("planned", "awaiting_approval", "approved")
_STORES: Mapping[str, StoreKind] = {"warm": "warehouse", "cold": "lake"}
_PIECE = 1 << 20


@dataclass(frozen=True)
class Made:
    """What a run made.

    Attributes:
        export: its record.
        tables: what was written of each.
        read: how much of the lake was read for it.
    """

    export: Export
    tables: tuple[Portable, ...]
    read: LakeRead


def refuse_several(request: int, persons: Iterable[str]) -> None:
    """A copy is one person's: of each system no more than one.

    Args:
        request: its number.
        persons: the system of each person whom it is about.

    Raises:
        RequestRefused: two are of one system.
    """
    several = [system for system, number in sorted(Counter(persons).items()) if number > 1]
    if several:
        raise RequestRefused(
            f"request {request} is about several persons of {', '.join(several)}, and a copy is one person's",
            hint="Nobody must be handed another's data: confirm who asks with --person; one request per account.",
        )


def plan_export(estate: Estate, request: int) -> tuple[Plan, Survey]:
    """Count what a copy would have, and seal that for approval; again, if it was planned before.

    Raises:
        RequestRefused: it is not to be planned in its state, or a person is not found, or two are of one system.
        ErasureRefused: a file of the person is others' as well, or something is not declared.
        ServerUnavailable, LakeUnavailable: a store does not answer.
    """
    with operator_of(estate, request) as operator:
        found = _asked(operator, request)
        if found.state in _REPLANNED:
            move_request(operator, request, "scoping", {"why": "planned anew"})
        elif found.state != "scoping":
            raise RequestRefused(
                f"request {request} is {found.state}", hint="A request is planned when its persons are confirmed."
            )
        kept = scoped(estate, operator, request)
        persons = {name: len(each.scope.persons) for name, each in kept.items()}
        refuse_several(request, (name for name, number in persons.items() for _ in range(number)))
        surveyed = _survey(estate, kept)
        with operator.transaction():
            write_scope(operator, request, pack(kept, estate.keys, request))
            plan = seal_plan(
                operator, request, surveyed.document(request, found.law, persons, policy_version(estate.catalog))
            )
            move_request(operator, request, "planned", {"plan": plan.sha256})
            move_request(operator, request, "awaiting_approval")
        return plan, surveyed


def _asked(operator: Connection, request: int) -> Request:
    found = read_request(operator, request)
    if found.kind != "export":
        raise RequestRefused(
            f"request {request} asks for an {found.kind}, not for a copy",
            hint="File one with `drivetrain erasure request --kind export`.",
        )
    return found


def _survey(estate: Estate, kept: Mapping[str, Kept]) -> Survey:
    """What each store has; a row that lies in several is handed out once."""
    lines: list[Line] = []
    sealed: list[tuple[str, FoundObject]] = []
    for name, each in sorted(kept.items()):
        system = estate.catalog.systems[name]
        with (
            connect(estate.sources[name], read_only=True, see_all_rows=True, application=APPLICATION) as source,
            connect(estate.warehouse, read_only=True, application=APPLICATION) as warehouse,
        ):
            check_contract(source, system)  # what nobody declared would be missing without a word
            sealed += [(name, found) for found in _files(estate, system, each, source, warehouse)]
            for table, about in sorted(each.scope.values.items()):
                relation = sql.Identifier(*system.source_of(table))
                types = column_types(source, relation)
                known = {column: values for column, values in about.items() if column in types}
                found: Counter[StoreKind] = Counter()
                found["operational"] = count(source, relation, rows_about(types, known)) if known else 0
                if read_table(warehouse, system.raw_schema, table) is not None:
                    for part in look_below(
                        warehouse, tiered(warehouse, system, table, estate.lake), about, None, source
                    ):
                        if part.tier in _STORES:  # what moves keep aside is in another tier as well
                            found[_STORES[part.tier]] += part.rows
                lines += [
                    Line(store, f"{name}.{table}", "export", rows) for store, rows in sorted(found.items()) if rows
                ]
    buckets = Counter(found.bucket for _, found in sealed)
    lines += [Line("objects", bucket, "export", number) for bucket, number in sorted(buckets.items())]
    objects = [one for name, found in sealed for one in seal([found], estate.keys.digest("objects", name))]
    return Survey(tuple(lines), tuple(objects), (), ("A row that lies in several stores is handed out once.",))


def _files(estate: Estate, system: System, kept: Kept, source: Connection, warehouse: Connection) -> list[FoundObject]:
    readers = [operational_reader(source, system), raw_reader(warehouse, system)]
    return find_objects(estate.objects, system, kept.scope, readers)


def run_export(
    estate: Estate,
    request: int,
    to: Path | None = None,
    *,
    kept_for: dt.timedelta = KEPT,
    tell: Callable[[str], None] = lambda _: None,
) -> Made:
    """Make the copy that was approved. Cut off, it left nothing under its name; the same call begins anew.

    Args:
        estate: every store.
        request: which.
        to: a file that is not there yet; None: the copy is kept below ``_drivetrain/exports`` of the lake.
        kept_for: how long it is kept there.
        tell: is told of each step.

    Raises:
        RequestRefused: it is not approved, or the approval is over, or persons or catalog are others than approved.
        ConfigurationError: the file is there, or cannot be; or a copy cannot be kept for so long.
        ServerUnavailable, LakeUnavailable: a store does not answer: run it again.
    """
    if not dt.timedelta() < kept_for <= LONGEST:
        raise ConfigurationError(f"a copy is kept for up to {LONGEST.days} days")
    if to is not None:
        _refuse_target(to)
    with operator_of(estate, request) as operator:
        kept = _approved(estate, operator, request)
        forget_unfinished(estate.lake, operator, request)
        path = new_path(request) if to is None else None
        export = begin_export(operator, request, path)
        with tempfile.TemporaryFile() as content:  # it has no name: a process that is killed leaves nothing of it
            tables, files, read = _write(estate, kept, content, tell)
            tell("storing")
            size, digest = content.seek(0, 2), digest_of(content)
            if path is not None:
                estate.lake.under(PLACE).put_private(path, content)
            elif to is not None:
                _put(to, content)
            amount = Amount(digest, size, sum(each.rows for each in tables), files)
            try:
                with translated(f"request {request}"):
                    end_export(operator, export, amount, kept_for)
            except Exception:  # the person is being erased meanwhile, for one: then it must not be there
                if path is not None:
                    estate.lake.under(PLACE).remove(path)
                elif to is not None:
                    to.unlink()
                raise
        (made,) = [each for each in read_exports(operator, request) if each.id == export]
        return Made(made, tuple(tables), read)


def _approved(estate: Estate, operator: Connection, request: int) -> dict[str, Kept]:
    """Whose rows, as of now, if the plan of it is approved."""
    found, plan = _asked(operator, request), read_plan(operator, request)
    if plan is None or found.state != "approved":
        raise RequestRefused(
            f"request {request} is {found.state}: there is nothing to make",
            hint="`drivetrain erasure status` says what is next.",
        )
    approval = read_approval(operator, plan)
    kept = scoped(estate, operator, request)
    why = ""
    if approval is None or approval.expires_at <= dt.datetime.now(dt.UTC):
        why = "the approval is over"
    elif plan.document["policy"] != policy_version(estate.catalog):
        why = "the catalog has changed since"
    elif plan.document["persons"] != {name: len(each.scope.persons) for name, each in kept.items()}:
        why = "it is about other persons by now"
    if why:
        move_request(operator, request, "scoping", {"why": why})
        raise RequestRefused(f"request {request}: {why}", hint="Nothing was made. Plan it anew.")
    return kept


def _write(
    estate: Estate, kept: Mapping[str, Kept], content: IO[bytes], tell: Callable[[str], None]
) -> tuple[list[Portable], int, LakeRead]:
    read = LakeRead()
    made_at = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC"
    # Closed in any case, for they hold sessions of every store.
    with (
        closing(_tables(estate, kept, read, tell)) as rows,
        closing(_contents(estate, kept, tell)) as contents,
    ):
        tables, files = write_portable(content, rows, made_at, contents)
    return tables, files, read


def _tables(
    estate: Estate, kept: Mapping[str, Kept], read: LakeRead, tell: Callable[[str], None]
) -> Generator[TableRows]:
    for name, each in sorted(kept.items()):
        system = estate.catalog.systems[name]
        with holding(system, estate.sources[name], estate.warehouse, estate.lake, read) as held:
            for table, about in sorted(each.scope.values.items()):
                tell(f"{name}.{table}")
                with closing(held.rows(table, about)) as rows:
                    yield TableRows(system, table, about, rows)


def _contents(estate: Estate, kept: Mapping[str, Kept], tell: Callable[[str], None]) -> Generator[FileContent]:
    for name, each in sorted(kept.items()):
        system = estate.catalog.systems[name]
        with (
            connect(estate.sources[name], read_only=True, see_all_rows=True, application=APPLICATION) as source,
            connect(estate.warehouse, read_only=True, application=APPLICATION) as warehouse,
        ):
            found = _files(estate, system, each, source, warehouse)
        for one in found:
            tell(f"{name}: files of {one.bucket}")
            yield from _versions(estate.objects, one)


def _versions(objects: Store, found: FoundObject) -> Iterator[FileContent]:
    """The file as it is, and every earlier version that the bucket keeps: they are held as well."""
    store = bucket_of(objects, found.bucket)
    if store.local:
        yield FileContent(found.bucket, found.path, _pieces(store, found))
        return
    with quietly(found.bucket):
        versions = [each for each in store.versions(found.path) if each.path == found.path and not each.marker]
    for number, each in enumerate(versions):
        if each.latest:
            yield FileContent(found.bucket, found.path, _pieces(store, found))
        else:
            with quietly(found.bucket):
                content = store.get(found.path, each.id)
            yield FileContent(found.bucket, f"{found.path}.earlier-{number}", [content])


def _pieces(store: Store, found: FoundObject) -> Iterator[bytes]:
    with quietly(found.bucket), store.open(found.path) as content:
        while piece := content.read(_PIECE):
            yield piece


def _refuse_target(to: Path) -> None:
    if to.exists():
        raise ConfigurationError(f"{to} is there already", hint="Name a file that is not: nothing is overwritten.")
    if not to.parent.is_dir():
        raise ConfigurationError(f"{to.parent} is no folder", hint="Make it first, where nobody else can read.")


@contextmanager
def new_file(to: Path) -> Generator[IO[bytes]]:
    """What is written into becomes the file, whole, if the block ends well; its owner alone may read it.

    Raises:
        ConfigurationError: something has the name, or it cannot be written there.
    """
    _refuse_target(to)
    with tempfile.TemporaryFile() as content:
        yield content
        content.seek(0)
        _put(to, content)


def _put(to: Path, content: IO[bytes]) -> None:
    try:
        put_file(to, content)
    except OSError as error:
        raise ConfigurationError(f"{to} cannot be written: {error.strerror}", hint="Nothing of it is there.") from None
