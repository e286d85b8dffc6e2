"""Look for erased persons in a PostgreSQL database: in every row of every relation, and in what the server keeps
besides.

A relation is read once for all persons of a batch. Values are sent as parameters, so that no view of running or past
statements has them.

What does not belong here: which rows give a person away (``absence_sought``), and what text tells of them
(``absence_words``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from psycopg import errors, sql

from warehouse.errors import StatementRefused
from warehouse.postgres.sessions import Connection, translated
from warehouse.proof.absence_found import Findings, Store
from warehouse.proof.absence_sought import Known, Rule, Way
from warehouse.proof.absence_words import Words

#: What it is if text tells of a person: a row's, which may be the person's or mention them; a log's; or nobody asks.
Is = Literal["a row's", "a log's", "not asked"]
_BATCH = 1000
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_SPELT = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrtbf])")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RANGES = {"smallint": 15, "integer": 31, "bigint": 63}
_TEXT = re.compile(r"(text|citext|character|bpchar|character varying|name|json|jsonb|xml|hstore|uuid|inet)\b.*")
#: What a law keeps in place of a value, and what a document is that was emptied.
_EMPTY = r"^(|erased-[0-9a-f]{9,32}|\{\}|\[\])$"

#: Everything that may hold rows, but for what a parent shows: its partitions, and temporary tables of this session.
RELATIONS = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence = 't',
       has_table_privilege(c.oid, 'SELECT'),
       coalesce((SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, NULL)) ORDER BY a.attnum)
                   FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
       coalesce((SELECT array_agg(a.attname::text ORDER BY a.attnum)
                   FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
                  WHERE i.indrelid = c.oid AND i.indisprimary), '{}')
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind = ANY(%(kinds)s) AND NOT (c.relispartition AND c.relkind <> 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%%'
   AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY(%(schemas)s))
 ORDER BY 2, 3
"""

#: Most common values and histograms of every column of every table, partition and index.
STATISTICS = """
SELECT n.nspname::text, coalesce(o.relname, c.relname)::text, c.relname::text, a.attname::text,
       coalesce(s.stavalues1::text::text[], '{}') || coalesce(s.stavalues2::text::text[], '{}')
       || coalesce(s.stavalues3::text::text[], '{}') || coalesce(s.stavalues4::text::text[], '{}')
       || coalesce(s.stavalues5::text::text[], '{}')
  FROM pg_statistic AS s JOIN pg_class AS c ON c.oid = s.starelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = s.staattnum
  LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
  LEFT JOIN pg_class AS o ON o.oid = coalesce(pg_partition_root(coalesce(i.indrelid, c.oid)), i.indrelid)
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%%'
"""
_EXTENDED = """
SELECT n.nspname::text, c.relname::text, s.stxname::text, v.values
  FROM pg_statistic_ext_data AS d JOIN pg_statistic_ext AS s ON s.oid = d.stxoid
  JOIN pg_class AS c ON c.oid = s.stxrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL pg_mcv_list_items(d.stxdmcv) AS v
 WHERE d.stxdmcv IS NOT NULL
"""
_LARGE_OBJECTS = "SELECT loid::bigint, data FROM pg_largeobject ORDER BY loid, pageno"
_STATEMENTS = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relname = 'pg_stat_statements' AND c.relkind = 'v'
"""


@dataclass(frozen=True)
class Relation:
    """One that holds rows, or shows them.

    Attributes:
        kind: as ``pg_class`` has it.
        columns: names and types.
        key: of its primary key.
    """

    schema: str
    name: str
    kind: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """How people call it."""
        return f"{self.schema}.{self.name}"


@dataclass
class Database:
    """One database, as the proof reads it.

    Attributes:
        connection: a canonical session in autocommit that sees all rows.
        store: which it is of the stores.
        findings: where what is found goes.
        words: what persons are known by.
        rules: of the relations that were looked at, with whose they are.
        alive: by relation and column, what rows of others say.
    """

    connection: Connection
    store: Store
    findings: Findings
    words: Words
    rules: dict[tuple[str, str], tuple[str, Rule]] = field(default_factory=dict[tuple[str, str], tuple[str, Rule]])
    alive: dict[tuple[str, str, str], set[Known]] = field(default_factory=dict[tuple[str, str, str], set[Known]])

    def relations(self, schemas: Sequence[str] | None = None, *, views: bool = False) -> list[Relation]:
        """Whatever holds rows; views too, if they are asked for.

        Args:
            schemas: only these; None: all.
            views: they hold nothing of their own.
        """
        kinds = ["r", "p", "m", "f", *(["v"] if views else [])]
        found: list[Relation] = []
        rows = self.connection.execute(RELATIONS, {"kinds": kinds, "schemas": schemas}).fetchall()
        for _, schema, name, kind, temporary, readable, columns, key in rows:
            relation = Relation(schema, name, kind, dict(columns), tuple(key))
            if temporary:
                self.findings.limit(f"{self.store}: {relation.place} is a temporary table of a session")
            elif not readable:
                self.findings.blind(f"{self.store}: {relation.place} may not be read by this role")
            elif columns:
                found.append(relation)
        return found

    def look(self, system: str, relation: Relation, rule: Rule, words: Is = "a row's") -> None:
        """Look at every row of a relation, once.

        Args:
            system: whose.
            relation: which.
            rule: what must not be in it.
            words: what it is, if text tells of a person.
        """
        rule = rule.within(relation.columns)
        self.rules[relation.schema, relation.name] = (system, rule)
        texts = [name for name, kind in relation.columns.items() if _TEXT.fullmatch(kind)]
        if not self.words or words == "not asked":
            texts = []
        if texts or rule.ways or rule.kept:
            with self._reading(relation):
                _Reading(self, system, relation, rule, texts, words).run()

    def values(self, relation: Relation, rule: Rule, column: str) -> set[str]:
        """What a column has in the rows that give a person away."""
        with self._reading(relation):
            return _Reading(self, "", relation, rule.within(relation.columns), [], "not asked").values(column)
        return set()

    @contextmanager
    def _reading(self, relation: Relation) -> Generator[None]:
        """A relation that vanishes meanwhile is nobody's place; one that cannot be read is told."""
        try:
            with self.connection.transaction():
                yield
        except (errors.UndefinedTable, errors.UndefinedColumn):
            row = self.connection.execute(
                "SELECT to_regclass(%s) IS NULL", (sql.Identifier(relation.schema, relation.name).as_string(None),)
            ).fetchone()
            if row is None or not row[0]:
                self.findings.blind(f"{self.store}: {relation.place} was changed while it was read")
        except (errors.InsufficientPrivilege, errors.FdwError, errors.ObjectNotInPrerequisiteState):
            self.findings.blind(f"{self.store}: {relation.place} cannot be read by this role")
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise StatementRefused(f"{relation.place}: the server refused to read it ({error.sqlstate})") from None

    def statistics(self) -> None:
        """What the planner remembers of values that may be gone."""
        if not self._may("pg_statistic"):
            self.findings.blind(f"{self.store}: statistics of columns may not be read by this role")
            return
        with translated(f"{self.store} (statistics)"):
            for schema, owner, name, column, values in self.connection.execute(STATISTICS):
                self._remembered(schema, owner, name, column, values)
        if not self._may("pg_statistic_ext_data"):
            if self._any("SELECT FROM pg_statistic_ext WHERE 'm' = ANY(stxkind)"):
                self.findings.blind(f"{self.store}: extended statistics may not be read by this role")
            return
        for schema, owner, name, values in self.connection.execute(_EXTENDED):
            self._remembered(schema, owner, f"{owner} ({name})", "", [str(each) for each in values if each is not None])

    def _remembered(self, schema: str, owner: str, name: str, column: str, values: Sequence[str]) -> None:
        system, rule = self.rules.get((schema, owner), ("", Rule()))
        forbidden = rule.forbidden
        wanted = forbidden.get(column, frozenset[str]()) if column else frozenset[str]().union(*forbidden.values())
        place = f"{schema}.{name}"
        self.findings.add(
            self.store, system, place, "statistics", sum(each in wanted for each in values), column=column
        )
        if self.words and self.words.may("\n".join(values)):
            alive = self.alive.get((schema, owner, column), set[Known]())
            for each in values:
                found = self.words.find_in_json(each)
                if found - alive:
                    telling = any(known.telling for known in found - alive)
                    self.findings.add(self.store, system, place, "statistics", 1, column=column, reopens=telling)
                elif found:
                    self.findings.add(self.store, system, place, "mention", 1, column=column)

    def large_objects(self) -> None:
        """Large objects, which belong to no table."""
        if not self._any("SELECT FROM pg_largeobject_metadata"):
            return
        if not self._may("pg_largeobject"):
            self.findings.blind(f"{self.store}: large objects may not be read by this role")
            return
        held, before = b"", None
        with self.connection.transaction(), self.connection.cursor(name="objects") as cursor:
            cursor.itersize = 100
            for number, data in cursor.execute(_LARGE_OBJECTS):
                held = held[-200:] + bytes(data) if number == before else bytes(data)
                before = number
                for known in self.words.find(held.decode(errors="replace")):
                    place = f"large object {number}"
                    self.findings.add(self.store, "", place, "bytes", 1, reopens=known.telling)

    def statements(self) -> None:
        """Texts of statements that the server counts."""
        for (view,) in self.connection.execute(_STATEMENTS).fetchall():
            try:
                with self.connection.transaction():
                    query = sql.SQL("SELECT query FROM {} WHERE query IS NOT NULL").format(sql.SQL(view))
                    texts = [text for (text,) in self.connection.execute(query)]
            except psycopg.Error:
                self.findings.limit(f"{self.store}: {view} cannot be read by this role")
                continue
            if "<insufficient privilege>" in texts:
                self.findings.limit(f"{self.store}: {view} shows this role its own statements only")
            for text in texts:
                for known in self.words.find(text):
                    self.findings.add(self.store, "", view, "log", 1, column="query", reopens=known.telling)

    def _may(self, relation: str) -> bool:
        row = self.connection.execute(
            "SELECT has_table_privilege(%s, 'SELECT')", (f"pg_catalog.{relation}",)
        ).fetchone()
        return row is not None and bool(row[0])

    def _any(self, query: str) -> bool:
        row = self.connection.execute(sql.SQL("SELECT EXISTS ({})").format(sql.SQL(query))).fetchone()  # type: ignore[arg-type]
        return row is not None and bool(row[0])


class _Reading:
    """One relation, read once."""

    def __init__(
        self, database: Database, system: str, relation: Relation, rule: Rule, texts: Sequence[str], words: Is
    ) -> None:
        self.database, self.system, self.relation, self.rule = database, system, relation, rule
        self.texts, self.words = texts, words
        self.parameters: list[Any] = []
        self.gives = self._condition(rule.ways)
        self.giving = list(self.parameters)
        self.kept = self._condition(rule.kept)
        self.key = relation.key or tuple(each for each in rule.key if each in relation.columns)
        self.view = relation.kind == "v"
        self.part = sql.SQL("''" if self.view else "tableoid::regclass::text")

    def run(self) -> None:
        """Look at all rows."""
        self.database.findings.note(self.database.store, places=1)
        if self.texts:
            self._stream()
            return
        query = sql.SQL(
            "SELECT {part} AS part, count(*) FILTER (WHERE {gives}), count(*) FILTER (WHERE {kept} AND NOT {gives})"
            " FROM {relation} WHERE {gives} OR {kept} GROUP BY part"
        ).format(part=self.part, gives=self.gives, kept=self.kept, relation=self._from())
        for part, gives, kept in self.database.connection.execute(query, self._named()).fetchall():
            self._counted(part, gives, kept)

    def values(self, column: str) -> set[str]:
        """What a column has in the rows that give a person away."""
        query = sql.SQL("SELECT DISTINCT {c}::text FROM {} WHERE {} AND {c} IS NOT NULL").format(
            self._from(), self.gives, c=sql.Identifier(column)
        )
        return {value for (value,) in self.database.connection.execute(query, self._named())}

    def _named(self) -> dict[str, Any]:
        return {f"v{number}": values for number, values in enumerate(self.parameters)}

    def _counted(self, part: str, gives: int, kept: int) -> None:
        place, name = self.relation.place, part.rpartition(".")[2]
        if name and name.strip('"') != self.relation.name:
            place = f"{place} (partition {name})"
        findings, store = self.database.findings, self.database.store
        findings.add(store, self.system, place, "row", gives)
        findings.add(store, self.system, place, "kept", kept)

    def _stream(self) -> None:
        subjects = [sql.Identifier(each) for each in self.rule.subjects]
        columns: list[sql.Composable] = [
            self.part,
            self.gives,
            self.kept,
            sql.SQL("num_nonnulls({}) > 0").format(sql.SQL(", ").join(subjects)) if subjects else sql.SQL("false"),
            *(sql.SQL("{}::text").format(sql.Identifier(each)) for each in (*self.key, *self.texts)),
        ]
        texts = sql.SQL(", ").join(map(sql.Identifier, self.texts))
        query = sql.SQL("SELECT {} FROM {} WHERE {} OR {} OR num_nonnulls({}) > 0").format(
            sql.SQL(", ").join(columns), self._from(), self.gives, self.kept, texts
        )
        first = 4 + len(self.key)
        gives: Counter[str] = Counter()
        kept: Counter[str] = Counter()
        with self.database.connection.cursor(name="absence") as cursor:
            cursor.execute(query, self._named())
            while batch := cursor.fetchmany(_BATCH):
                self.database.findings.note(self.database.store, rows=len(batch))
                gives.update(row[0] for row in batch if row[1])
                kept.update(row[0] for row in batch if row[2] and not row[1])
                joined = "\n".join(value for row in batch for value in row[first:] if value)
                if self.database.words.may(_unescaped(joined)):
                    for row in batch:
                        if not row[1] and not row[2]:
                            self._read(row[4:first], row[3], dict(zip(self.texts, row[first:], strict=True)))
        for part in sorted({*gives, *kept}):
            self._counted(part, gives[part], kept[part])

    def _read(self, key: Sequence[str | None], somebodys: bool, values: Mapping[str, str | None]) -> None:
        """A row of somebody else, or of nobody."""
        words, findings = self.database.words, self.database.findings
        for column, value in values.items():
            found = words.find_in_json(value) if value else set[Known]()
            if not value or not found:
                continue
            self.database.alive.setdefault((self.relation.schema, self.relation.name, column), set()).update(found)
            if self.words == "a log's":
                telling = any(known.telling for known in found)
                findings.add(
                    self.database.store, self.system, self.relation.place, "log", 1, column=column, reopens=telling
                )
                continue
            free = column in self.rule.free or self.relation.columns[column].startswith(("json", "xml"))
            theirs = not (somebodys or free or self.rule.of_nobody) and words.is_all_of(value)
            findings.add(
                self.database.store, self.system, self.relation.place, "row" if theirs else "mention", 1, column=column,
                keys=[] if theirs or not self.key else [tuple(each or "" for each in key)],
            )  # fmt: skip

    def _from(self) -> sql.Composable:
        name = sql.Identifier(self.relation.schema, self.relation.name)
        return sql.SQL("ONLY {}").format(name) if self.relation.kind == "r" else name

    def _condition(self, ways: Sequence[Way]) -> sql.Composable:
        parts = [part for way in ways if (part := self._way(way)) is not None]
        return sql.SQL("coalesce({}, false)").format(sql.SQL(" OR ").join(parts)) if parts else sql.SQL("false")

    def _way(self, way: Way) -> sql.Composable | None:
        column = sql.Identifier(way.column)
        kind = self.relation.columns[way.column]
        values = sorted(way.values)
        if kind in _RANGES:
            limit = 1 << _RANGES[kind]
            values = [each for each in values if _WHOLE.fullmatch(each) and -limit <= int(each) < limit]
        elif kind == "uuid":
            values = [each for each in values if _UUID.fullmatch(each)]
        if not values:
            return None
        given = sql.Placeholder(f"v{len(self.parameters)}")
        self.parameters.append(values)
        if kind in (*_RANGES, "uuid"):
            named = sql.SQL("{} = ANY({}::text[]::{}[])").format(column, given, sql.SQL(kind))  # type: ignore[arg-type]
        else:
            named = sql.SQL("{}::text = ANY({}::text[])").format(column, given)
        if not way.filled:
            return named
        full = [sql.SQL("{0}::text !~ {1}").format(sql.Identifier(c), sql.Literal(_EMPTY)) for c in way.filled]
        return sql.SQL("({} AND ({}))").format(named, sql.SQL(" OR ").join(full))


def _unescaped(text: str) -> str:
    """Texts, and the same as documents have them, in which signs are spelt."""
    if "\\" not in text:
        return text
    spelt = _SPELT.sub(lambda match: chr(int(match[1], 16)) if match[1] else " ", text)
    return f"{text}\n{spelt}"
