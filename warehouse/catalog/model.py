"""The policy of a table, as data: frozen models that the YAML files are read into.

What belongs here: what a policy can say. What does not: which sayings contradict each other (``contradictions``),
reading files (``loader``), writing derived files (``render``), and anything that asks a live database.

Every model forbids unknown keys. A contradiction is reported with the table and field it stands in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from warehouse.catalog import contradictions
from warehouse.catalog.age import Age, AgeShape, AgeText
from warehouse.catalog.base import ColumnName, Identifier, Policy, TableName, split_name
from warehouse.catalog.partition import HashPartition, ListPartition, Partition, RangePartition
from warehouse.catalog.types import normalise_type

#: Kinds of personal data. Masking, erasure and portability decide by kind, never by column name.
PersonalKind = Literal[
    "name", "username", "email", "phone", "address", "location", "ip", "government_id", "vehicle_id", "bank_account",
    "birth_date", "health", "credential", "device", "photo", "free_text", "profile", "person_id", "reference",
    "unreviewed",
]  # fmt: skip
#: What a person can be found by.
IdentifierKind = Literal["email", "phone", "username", "external_id", "government_id"]
Law = Literal["gdpr", "ccpa", "dpdp"]
#: Of a column: it is personal, and of nobody whom the table's subjects name.
OTHERS = "others"
_WEEK = Age(count=7, unit="day")


class Column(Policy):
    """One column: its PostgreSQL type, what it means, and what of a person it tells."""

    type: Annotated[str, AfterValidator(normalise_type)] = Field(description="PostgreSQL type, e.g. numeric(12,2)")
    description: str = Field(default="", description="What the value means, with its unit.")
    cast: Literal["text"] | None = Field(
        default=None,
        description="The source's type cannot be carried: what it prints as is, and `type` is text.",
    )
    personal: PersonalKind | None = Field(default=None, description="Which kind of personal data the column holds.")
    whose: ColumnName | None = Field(
        default=None,
        description="Subject column of the person that the value is of, where a row is about several persons; "
        "'others': of somebody who is no subject of the row, and whose it stays.",
    )
    bucket: str | None = Field(
        default=None, description="The value is an object key in this bucket; {column} takes the row's own value."
    )


class Person(Policy):
    """Which table lists the persons of a system, and by what they are found."""

    table: Identifier
    key: ColumnName
    identifiers: Mapping[ColumnName, IdentifierKind] = Field(
        min_length=1, description="Columns of the person table by which an officer finds a person."
    )
    region: ColumnName | None = Field(default=None, description="Column that names the person's region (sovereignty).")
    since: ColumnName | None = Field(
        default=None,
        description="Column that says when the account was made: by it, an officer tells two persons apart.",
    )


def _parse_subject(value: Any) -> Any:
    """``rider_id`` or ``order_id -> orders`` or ``order_key -> orders.key``."""
    if not isinstance(value, str):
        return value
    column, arrow, target = (part.strip() for part in value.partition("->"))
    if not arrow:
        return {"column": column}
    table, dot, to = target.partition(".")
    return {"column": column, "table": table, "to": to} if dot else {"column": column, "table": table}


class Subject(Policy):
    """One way from a row to the person it is about.

    Without ``table`` the column holds the person's own key. With it, the column references another table of the
    system, and the way goes on from there (as many hops as it takes).
    """

    column: ColumnName
    table: Identifier | None = None
    to: ColumnName | None = Field(default=None, description="Referenced column; the table's only key column if absent.")


SubjectText = Annotated[Subject, BeforeValidator(_parse_subject, json_schema_input_type=str | Subject)]


class Ingest(Policy):
    """How rows come into the warehouse.

    - ``full``: the whole table is loaded beside the old one and swapped in.
    - ``incremental``: rows whose ``cursor`` moved since the watermark (less ``lookback``) are upserted by key.
    - ``partition``: facts by calendar month (UTC) of the table's ``time`` column; a month is re-loaded whole.
    """

    mode: Literal["full", "incremental", "partition"] = "full"
    cursor: ColumnName | None = Field(default=None, description="incremental: column that grows with every change.")
    lookback: AgeText = Field(
        default=Age(count=1, unit="hour"),
        description="incremental: how far behind the watermark late commits are looked for.",
    )
    compare: AgeText | None = Field(
        default=None,
        description="incremental: how old the last comparison of all rows may be. Until then only rows past the "
        "watermark are read: deleted ones, and those changed without the cursor, wait for it. Left out: every time.",
    )
    capture: bool = Field(
        default=False, description="Changes are read from the source's log, too, between two comparisons."
    )


class Capture(Policy):
    """How much of its log a source may keep for change capture, and what becomes of a capture that would keep more."""

    retained_mb: int = Field(default=4096, ge=1, description="Megabytes of log that the source keeps at most.")
    over: Literal["give_up", "alert"] = Field(
        default="give_up",
        description="give_up: the log is let go, and tables are compared anew; alert: it is kept, for somebody to act.",
    )


class Reading(Policy):
    """What ingestion may ask of a source. Beyond it ingestion reads elsewhere, waits, or gives up for now."""

    replica_lag: AgeText = Field(
        default=Age(count=5, unit="minute"),
        description="A replica that is further behind is passed over, and the primary is read.",
    )
    snapshot: AgeText = Field(
        default=Age(count=2, unit="hour"),
        description="How long one moment of the source is read from: until then its vacuum waits.",
    )
    transaction: AgeText = Field(
        default=Age(count=6, unit="hour"),
        description="Nothing is read while somebody else's transaction at the primary is open for longer.",
    )
    retained_mb: int = Field(
        default=65_536, ge=1, description="Nothing is read while a slot makes the primary keep more log than that."
    )


class Cold(Policy):
    """Layout of the cold tier's Delta table."""

    buckets: int = Field(default=8, ge=1, le=1024, description="Hash buckets of the subject per month.")


class Tiers(Policy):
    """When a month moves down. ``hot`` and ``warm`` are ages at which it leaves that tier.

    A tier that is absent is skipped: no ``warm`` and no ``cold`` means that rows leave after ``hot`` only by retention.
    """

    hot: AgeText | None = None
    warm: AgeText | None = None
    cold: Cold | None = None


class Retention(Policy):
    """When a row must be gone from every tier.

    Exactly one of: ``age`` (counted from the row's event time), ``lifetime`` (of the person's account), ``law``
    (a financial or other record whose keeping a law demands, with that ``basis`` and, where known, an ``age``),
    ``undecided`` (a draft).
    """

    until: Literal["age", "lifetime", "law", "undecided"]
    age: AgeText | None = None
    basis: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.until == "age" and self.age is None:
            raise ValueError("retention until 'age' needs an age, e.g. '2 years'")
        if self.until in ("lifetime", "undecided") and self.age is not None:
            raise ValueError(f"retention until {self.until!r} has no age; remove it, or say until: age")
        if self.until == "law" and not self.basis:
            raise ValueError("retention by law names its basis: {until: law, basis: ..., age: ...}")
        return self


def _parse_retention(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return {"until": value} if value in ("lifetime", "undecided") else {"until": "age", "age": value}


RetentionText = Annotated[
    Retention,
    BeforeValidator(_parse_retention, json_schema_input_type=Literal["lifetime", "undecided"] | AgeShape | Retention),
]


class Erasure(Policy):
    """What a person's erasure does to the rows that are about them.

    - ``delete``: the rows go. - ``redact``: shared rows stay, the person's own columns are emptied.
    - ``pseudonymise``: rows stay by law (``basis``), personal columns are replaced.
    - ``exempt``: nothing is done, for the written ``reason``. - ``no_person``: the table is about nobody.
    - ``undecided``: a draft that erasure, tiering and retention refuse.
    """

    action: Literal["delete", "redact", "pseudonymise", "exempt", "no_person", "undecided"]
    basis: str | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.action == "pseudonymise" and not self.basis:
            raise ValueError("pseudonymise keeps rows: name the legal basis: {action: pseudonymise, basis: ...}")
        if self.action == "exempt" and not self.reason:
            raise ValueError("exempt needs a written reason: {action: exempt, reason: ...}")
        return self


def _parse_erasure(value: Any) -> Any:
    return {"action": value} if isinstance(value, str) else value


#: Actions that need no further word.
_BareErasure = Literal["delete", "redact", "no_person", "undecided"]
ErasureText = Annotated[Erasure, BeforeValidator(_parse_erasure, json_schema_input_type=_BareErasure | Erasure)]


class ColumnRule(Policy):
    """What must be true of one column. Rules hold for values that are not NULL, but for ``not_null``."""

    between: tuple[float, float] | None = None
    among: tuple[str, ...] | None = None
    not_null: bool | None = None
    unique: bool | None = None
    matches: str | None = Field(default=None, description="POSIX regular expression, as PostgreSQL's ~ reads it.")
    not_before: ColumnName | None = Field(default=None, description="Column of the same row that is never later.")
    within: AgeText | None = Field(default=None, description="Largest distance to ``of``.")
    of: ColumnName | None = None
    references: str | None = Field(default=None, description="table.column of the same system that has the value.")
    severity: Literal["warn", "error"] = "error"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.within is None) != (self.of is None):
            raise ValueError("'within' and 'of' go together: {within: 1 day, of: created_at}")
        if not self.model_dump(exclude_none=True, exclude={"severity"}):
            raise ValueError(
                "an empty rule: say between, among, not_null, unique, matches, not_before, within or references"
            )
        return self


class Table(Policy):
    """The policy of one table."""

    description: str = Field(min_length=1)
    source: TableName | None = Field(
        default=None, description="schema.table in the source, if not <schema of the system>.<name>."
    )
    key: tuple[ColumnName, ...] = Field(
        default=(), description="Columns that identify a row; empty only for mode full."
    )
    columns: Mapping[ColumnName, Column] = Field(min_length=1)
    subjects: tuple[SubjectText, ...] = Field(default=(), description="Ways to the persons a row is about.")
    time: ColumnName | None = Field(default=None, description="The row's own event time; ages are counted from it.")
    ingest: Ingest = Ingest()
    partition: Partition | None = None
    tiers: Tiers = Tiers()
    retention: RetentionText
    erasure: ErasureText
    quality: Mapping[ColumnName, ColumnRule] = Field(default_factory=dict)
    reviewed: bool = Field(default=True, description="False in a draft: tiering, retention and erasure refuse it.")

    @property
    def personal(self) -> dict[str, PersonalKind]:
        """The personal columns and their kinds."""
        return {name: column.personal for name, column in self.columns.items() if column.personal is not None}

    def own_columns(self, subject: Subject) -> tuple[str, ...]:
        """The personal columns of the person whom a subject names: what erasure empties where the row itself stays."""
        return tuple(
            name
            for name, column in self.columns.items()
            if column.personal is not None
            and (column.whose == subject.column if column.whose else self._alone(subject, name))
        )

    def _alone(self, subject: Subject, column: str) -> bool:
        others = {each.column for each in self.subjects} - {subject.column}
        return column == subject.column or not others

    @property
    def partition_column(self) -> str | None:
        """The operational partition key column, if the table is partitioned."""
        match self.partition:
            case RangePartition(range=column) | HashPartition(hash=column) | ListPartition(list=column):
                return column
            case None:
                return None

    @property
    def month_pattern(self) -> str:
        """Name pattern of the raw table's months: the source's own, if it has months too."""
        if isinstance(self.partition, RangePartition) and self.partition.every == "month":
            return self.partition.name
        return "{table}_y{year}m{month}"

    def expired_before(self, at: dt.datetime) -> dt.datetime | None:
        """Rows of an earlier time (UTC) have reached their retention at a moment; None: they never do by age alone.

        To the day, so that what must be written anew for it is so once a day; to the hour, for an age of less than a
        week. A law that demands keeping does not demand an end: what is kept by law stays.
        """
        if self.retention.until != "age" or self.retention.age is None or self.time is None:
            return None
        try:
            moment = self.retention.age.earlier(at.astimezone(dt.UTC))
        except OverflowError:
            return None
        hour = moment.replace(minute=0, second=0, microsecond=0)
        return hour if self.retention.age < _WEEK else hour.replace(hour=0)

    def contradictions(self) -> list[str]:
        """Every contradiction within this table's policy, as ``field: what is wrong``."""
        return contradictions.in_table(self)


class System(Policy):
    """One operational system: who owns it, whose data it holds, and the policy of each of its tables."""

    system: Identifier
    title: str
    description: str
    owner: str
    laws: tuple[Law, ...] = ()
    schema_: Identifier = Field(default="public", alias="schema", description="Schema of the source's tables.")
    history_starts: dt.date = Field(description="First month of history; monthly assets begin here.")
    person: Person | None = Field(default=None, description="Absent where a system knows no persons.")
    objects: tuple[str, ...] = Field(
        default=(),
        description="bucket/prefix of all files that are a person's own, whether or not a row names them; {key} is the "
        "person's key.",
    )
    caches: tuple[str, ...] = Field(
        default=(),
        description="Patterns of cache keys that are a person's own; {key} is the person's key, * is any text.",
    )
    reading: Reading = Field(default_factory=Reading)
    capture: Capture = Field(default_factory=Capture)
    tables: Mapping[Identifier, Table] = Field(min_length=1)

    @property
    def raw_schema(self) -> str:
        """Where the ingested tables are in the warehouse."""
        return f"raw_{self.system}"

    def source_of(self, table: str) -> tuple[str, str]:
        """``(schema, name)`` of a table in the operational database."""
        source = self.tables[table].source
        if source is None:
            return self.schema_, table
        *schema, name = split_name(source)
        return (schema[0] if schema else self.schema_), name

    def target_of(self, subject: Subject) -> tuple[str, str]:
        """Table and column whose values a subject column has: the persons' own, or those of a table on the way."""
        if subject.table is not None:
            return subject.table, subject.to or self.tables[subject.table].key[0]
        assert self.person is not None
        return self.person.table, self.person.key

    def contradictions(self) -> list[str]:
        """Every contradiction in the system, as ``table.field: what is wrong``."""
        return contradictions.in_system(self)


class Catalog(Policy):
    """All systems, by name."""

    systems: Mapping[str, System]

    def has(self, text: str) -> bool:
        """Whether there is such a ``system`` or ``system.table``."""
        system, _, name = text.partition(".")
        return system in self.systems and (not name or name in self.systems[system].tables)

    def table(self, system: str, name: str) -> Table:
        """The policy of one table."""
        return self.systems[system].tables[name]
