"""Which sayings of a policy contradict each other, each told as ``field: what is wrong``.

What belongs here: what can be seen in the policy alone. What does not: reading fields (``model`` refuses what is no
field or no value of it), and what only a live database can tell (``warehouse.postgres.contract``).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import TYPE_CHECKING

from warehouse.catalog.base import join_name
from warehouse.catalog.partition import HashPartition, RangePartition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warehouse.catalog.age import Age
    from warehouse.catalog.model import Subject, System, Table

_TIME = re.compile(r"date|timestamp(\(\d\))? with(out)? time zone")
#: Types that say nothing of when a row changed; a type of the source's own (a domain) may.
_NO_CURSOR = re.compile(r"(boolean|text|character.*|json|jsonb|bytea|uuid|inet|cidr|xml|interval.*|.*\[\])$")


def in_table(table: Table) -> list[str]:
    """Every contradiction within one table's policy."""
    return [
        line
        for found in (
            _names(table),
            _ingest(table),
            _cast(table),
            _partition(table),
            _ages(table),
            _erasure(table),
            _quality(table),
        )
        for line in found
    ]


def in_system(system: System) -> list[str]:
    """Every contradiction in a system, tables included, as ``table.field: what is wrong``."""
    found = [f"{name}.{line}" for name, table in system.tables.items() for line in in_table(table)]
    if system.history_starts.day != 1:
        found.append("history_starts: name the first day of a month")
    found += _person(system)
    found += _stores(system)
    for name, table in system.tables.items():
        for subject in table.subjects:
            if subject.column in table.columns:
                found += [f"{name}.subjects: {line}" for line in _follow(system, subject, (name,))]
        found += [f"{name}.{line}" for line in _references(system, table)]
    counted = Counter(system.source_of(name) for name in system.tables)
    return found + [f"tables: {join_name(*source)} is declared twice" for source, n in sorted(counted.items()) if n > 1]


def _names(table: Table) -> Iterator[str]:
    """Columns that are spoken of must be declared, and told apart by every store."""
    partition = table.partition_column
    spoken = [
        *(("key", column) for column in table.key),
        *(("subjects", subject.column) for subject in table.subjects),
        ("time", table.time),
        ("ingest.cursor", table.ingest.cursor),
        ("partition", partition),
    ]
    for field, column in spoken:
        if column is not None and column not in table.columns:
            yield f"{field}: no column {column!r} is declared under columns"
    if len(set(table.key)) != len(table.key):
        yield "key: a column is named twice"
    ways = Counter((subject.column, subject.table, subject.to) for subject in table.subjects)
    for (column, _, _), times in ways.items():
        if times > 1:
            yield f"subjects: the way by {column!r} is named twice"
    folded: dict[str, str] = {}
    for column in table.columns:
        if (other := folded.setdefault(column.casefold(), column)) != column:
            yield f"columns: {other!r} and {column!r} differ in case only, which the cold tier cannot tell apart"
    for name, column in table.columns.items():
        if column.bucket is not None:
            yield from (f"columns.{name}.bucket: {line}" for line in _bucket(table, column.bucket))


def _bucket(table: Table, pattern: str) -> Iterator[str]:
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(pattern) if field is not None]
    except ValueError as error:
        yield f"{pattern!r} is no pattern: {error}"
        return
    for field in fields:
        if field not in table.columns:
            yield f"{pattern!r}: no column {field!r} is declared under columns"


def _ingest(table: Table) -> Iterator[str]:
    mode, cursor = table.ingest.mode, table.ingest.cursor
    if mode != "full" and not table.key:
        yield f"key: mode {mode} needs a key; without one a table can only be ingested with mode full"
    if mode == "incremental" and cursor is None:
        yield "ingest.cursor: mode incremental needs a cursor column"
    if mode != "incremental" and cursor is not None:
        yield f"ingest.cursor: mode {mode} uses no cursor; remove it"
    if mode == "partition" and table.time is None:
        yield "time: mode partition needs the table's event time"
    if (declared := table.columns.get(table.time or "")) and not _TIME.fullmatch(declared.type):
        yield f"time: column {table.time!r} is {declared.type}, not a date or timestamp"
    if mode != "incremental" and table.ingest.compare is not None:
        yield f"ingest.compare: mode {mode} compares every time; remove it"
    if table.ingest.capture and not table.key:
        yield "ingest.capture: a change is told by the key, and none is declared"
    if (declared := table.columns.get(cursor or "")) and _NO_CURSOR.fullmatch(declared.type):
        yield f"ingest.cursor: column {cursor!r} is {declared.type}, which does not grow; name a time or a number"


def _cast(table: Table) -> Iterator[str]:
    """What is read as text is compared as such, and only by ingestion."""
    cast = [name for name, column in table.columns.items() if column.cast]
    if not cast:
        return
    spoken = {*table.key, *(subject.column for subject in table.subjects), table.time, table.ingest.cursor}
    for name in cast:
        if table.columns[name].type != "text":
            yield f"columns.{name}: cast to text, and declared as {table.columns[name].type}: write `type: text`"
        if name in spoken or name == table.partition_column:
            yield f"columns.{name}: a key, a way to persons, a time, a cursor or a partition is not cast"
    if table.ingest.capture:
        yield f"ingest.capture: the log has {cast[0]!r} as it is, and not as text"
    if table.tiers.hot is not None:
        yield f"tiers.hot: a month with {cast[0]!r} cannot leave its source, for it is compared there as it is"


def _partition(table: Table) -> Iterator[str]:
    partition = table.partition
    if isinstance(partition, RangePartition):
        if table.time is None:
            yield "time: a range-partitioned table states its event time"
        elif partition.range != table.time:
            yield f"partition.range: {partition.range!r} is not the table's time column {table.time!r}"
        if (line := partition.contradiction()) is not None:
            yield f"partition.name: {line}"
    if (
        isinstance(partition, HashPartition)
        and partition.grow_to is not None
        and (partition.grow_to % partition.modulus or partition.grow_to <= partition.modulus)
    ):
        yield "partition.grow_to: not a multiple of the modulus"


def _ages(table: Table) -> Iterator[str]:
    tiers, retention = table.tiers, table.retention
    ages: list[tuple[str, Age]] = [(n, a) for n, a in (("hot", tiers.hot), ("warm", tiers.warm)) if a is not None]
    if (ages or tiers.cold) and table.time is None:
        yield "time: tiers are counted from the row's event time; state it"
    for name, age in ages:
        if age.count == 0:
            yield f"tiers.{name}: no row can leave at the age of {age}"
    if len(ages) == 2 and ages[0][1] >= ages[1][1]:
        yield f"tiers.warm: {tiers.warm} is not later than hot: {tiers.hot}"
    if tiers.cold is not None and not ages:
        yield "tiers.cold: say after which age (hot or warm) rows become cold"
    if retention.age is None:
        return
    if table.time is None:
        yield "time: retention by age is counted from the row's event time; state it"
    if retention.age.count == 0:
        yield f"retention: {retention.age} would delete every row"
    for name, age in ages:
        if age > retention.age:
            yield f"tiers.{name}: {age} is past the retention of {retention.age}"


def _erasure(table: Table) -> Iterator[str]:
    action = table.erasure.action
    if action == "no_person":
        if table.subjects:
            yield "erasure: 'no_person' contradicts subjects"
        if personal := [name for name, kind in table.personal.items() if kind != "unreviewed"]:
            yield f"erasure: 'no_person' contradicts the personal column(s) {', '.join(personal)}"
    if action in ("delete", "redact", "pseudonymise") and not table.subjects:
        yield f"subjects: erasure {action!r} needs a way to the person; or say no_person, or exempt with a reason"
    if action in ("redact", "pseudonymise") and not table.personal:
        yield f"erasure: {action!r} changes the personal columns, and no column is marked personal"
    subjects = {subject.column for subject in table.subjects}
    for name, column in table.columns.items():
        if column.whose is not None and (column.whose not in {*subjects, "others"} or column.personal is None):
            yield f"columns.{name}.whose: {column.whose!r} is no subject of the table, or the column is not personal"
        shared = action in ("redact", "pseudonymise") and len(subjects) > 1
        if shared and column.personal and not column.whose and name not in subjects:
            yield f"columns.{name}.whose: the row is about several persons; name the subject that the value is of"
    if action == "delete" and table.retention.until == "law":
        yield "erasure: 'delete' contradicts a retention by law; pseudonymise or exempt"
    undecided = [
        *(["erasure"] if action == "undecided" else []),
        *(["retention"] if table.retention.until == "undecided" else []),
        *(f"columns.{name}.personal" for name, kind in table.personal.items() if kind == "unreviewed"),
    ]
    if undecided and table.reviewed:
        yield f"reviewed: {', '.join(undecided)} not decided yet; decide, or set reviewed: false"


def _quality(table: Table) -> Iterator[str]:
    for column, rule in table.quality.items():
        for field, spoken in (("", column), (".not_before", rule.not_before), (".of", rule.of)):
            if spoken is not None and spoken not in table.columns:
                suffix = f".{column}{field}" if field else ""
                yield f"quality{suffix}: no column {spoken!r} is declared under columns"
        if rule.between is not None and rule.between[0] > rule.between[1]:
            yield f"quality.{column}.between: {rule.between[0]:g} is more than {rule.between[1]:g}"
        if rule.among is not None and not rule.among:
            yield f"quality.{column}.among: names no value, so no row could hold"


def _references(system: System, table: Table) -> Iterator[str]:
    for column, rule in table.quality.items():
        if rule.references is not None:
            other, _, to = rule.references.partition(".")
            if other not in system.tables or to not in system.tables[other].columns:
                yield f"quality.{column}.references: no such column {rule.references!r}"


def _person(system: System) -> Iterator[str]:
    person = system.person
    if person is None:
        for name, table in system.tables.items():
            if table.subjects:
                yield f"{name}.subjects: the system declares no person"
        return
    table = system.tables.get(person.table)
    if table is None:
        yield f"person.table: no table {person.table!r}"
        return
    for field, column in (
        ("key", person.key),
        *(("identifiers", column) for column in person.identifiers),
        ("region", person.region),
        ("since", person.since),
    ):
        if column is not None and column not in table.columns:
            yield f"person.{field}: {person.table} has no column {column!r}"
    if table.erasure.action == "no_person":
        yield f"{person.table}.erasure: 'no_person' contradicts person.table"


#: What ends a person's key within a longer one: nobody's key goes on with it.
_ENDED = re.compile(r"\{key\}[^0-9A-Za-z_{}*-]|\{key\}$")


def _stores(system: System) -> Iterator[str]:
    """Prefixes and patterns that would reach nobody's files or keys, or everybody's."""
    for field, patterns in (("objects", system.objects), ("caches", system.caches)):
        for pattern in patterns:
            if system.person is None:
                yield f"{field}: {pattern!r}: the system declares no person"
            elif pattern.count("{key}") != 1 or "{" in pattern.replace("{key}", ""):
                yield f"{field}: {pattern!r}: write {{key}} once, where the person's key stands"
            elif not _ENDED.search(pattern) or (field == "objects" and pattern.endswith("{key}")):
                yield f"{field}: {pattern!r}: end {{key}} with a sign such as / or :, or key 1 would be taken for 10"
            elif field == "objects" and "{key}" in pattern.partition("/")[0]:
                yield f"{field}: {pattern!r}: write bucket/prefix; the bucket is the same for all"


def _follow(system: System, subject: Subject, seen: tuple[str, ...]) -> list[str]:
    """Where a way does not end at the person: unknown tables, unclear targets, circles."""
    if subject.table is None:
        return [] if subject.to is None else [f"{subject.column}: 'to' names a column of a table; name the table"]
    way = f"{subject.column} -> {subject.table}"
    target = system.tables.get(subject.table)
    if target is None:
        return [f"{way}: no such table"]
    if subject.to is None and len(target.key) != 1:
        return [f"{way}: its key has {len(target.key)} columns; name one: -> {subject.table}.<column>"]
    if subject.to is not None and subject.to not in target.columns:
        return [f"{way}.{subject.to}: no such column"]
    if not target.subjects:
        return [f"{way}: that table leads to no person"]
    # A self-reference is allowed beside a real way.
    ways = [further for further in target.subjects if further.table not in seen]
    if not ways:
        return [f"{way}: the way goes in a circle and reaches no person"]
    return [line for further in ways for line in _follow(system, further, (*seen, subject.table))]
