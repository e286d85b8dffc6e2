"""An erased person is nowhere: every store is read anew, its rows and its bytes, by a way of its own.

It shares no code with what erases: what leads to a person it works out from the catalog by itself, and every store it
reads as it is, not as a ledger says it should be. What it finds it tells by place and count, never by value.

What does not belong here: mending anything; backups, the servers' log files and the write-ahead log, which expire.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from warehouse.lake.store import Store
from warehouse.postgres.sessions import Connection, Dsn, connect, translated
from warehouse.proof.absence_found import Absence, Findings
from warehouse.proof.absence_lake import LakeTable, look_at_objects
from warehouse.proof.absence_sought import Rule, Sought, Ways
from warehouse.proof.absence_sql import Database, Relation
from warehouse.proof.absence_words import Words

_APPLICATION = "drivetrain absence"
#: Schemas in which the platform keeps what it did: nothing in them is of a person.
_OWN = ("platform", "audit", "drivetrain_seal")
#: What the platform adds to a system's tables, for a while or for itself.
_PASSING = re.compile(r"(drivetrain_left|moved|back|erased)_\d+|.*__(changes|next|rows|delta)")
_FEED = "__changes"


@dataclass(frozen=True)
class Model:
    """A relation of the warehouse that is made of a system's tables.

    Attributes:
        system: whose.
        persons: columns that hold persons' keys.
        free: columns in which people write of others.
    """

    system: str
    persons: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stores:
    """Everything that is read, each by a role that may read all of it and write nothing.

    Attributes:
        warehouse: as the verifier.
        sources: operational databases, by system.
        lake: its root.
        dagster: the database of Dagster's own storage; None: there is none.
        models: relations of the warehouse that models make, by schema and name.
    """

    warehouse: Dsn
    sources: Mapping[str, Dsn]
    lake: Store
    dagster: Dsn | None = None
    models: Mapping[tuple[str, str], Model] = field(default_factory=dict[tuple[str, str], Model])


def prove_absence(
    sought: Sequence[Sought], stores: Stores, *, deep: bool = False, tell: Callable[[str], None] = lambda _: None
) -> Absence:
    """Look for erased persons everywhere, for all of a batch in one pass.

    Args:
        sought: by system, whom.
        stores: what is read.
        deep: read the lake's files, too, that by their path cannot hold the persons, and what views show.
        tell: is told of each place.

    Raises:
        ServerUnavailable, LakeUnavailable, AccessDenied: a store does not answer, or refuses: nothing is proven.
    """
    words = Words(known for each in sought for known in each.known)
    proof = _Proof([(each.system.system, Ways(each)) for each in sought], stores, Findings(words), words, deep, tell)
    with connect(stores.warehouse, read_only=True, see_all_rows=True, application=_APPLICATION) as warehouse:
        for name, ways in proof.ways:
            if name in stores.sources:
                with connect(
                    stores.sources[name], read_only=True, see_all_rows=True, application=_APPLICATION
                ) as source:
                    proof.follow(source, warehouse, ways)
                    proof.operational(source, name, ways)
            else:
                proof.findings.blind(f"operational: nobody said where {name} is")
                proof.follow(None, warehouse, ways)
        proof.warehouse(warehouse)
        proof.lake(warehouse)
    if stores.dagster is not None:
        with connect(stores.dagster, read_only=True, application=_APPLICATION) as dagster:
            proof.dagster(dagster)
    return proof.findings.absence()


@dataclass
class _Proof:
    ways: Sequence[tuple[str, Ways]]
    stores: Stores
    findings: Findings
    words: Words
    deep: bool
    tell: Callable[[str], None]

    def follow(self, source: Connection | None, warehouse: Connection, ways: Ways) -> None:
        """What is left on the way to a person leads on to more, until nothing is new."""
        system = ways.system
        places: list[tuple[Database, str, str, str]] = []
        for name in system.tables:
            if ways.leading(name):
                if source is not None:
                    database = Database(source, "operational", self.findings, self.words)
                    places.append((database, name, *system.source_of(name)))
                database = Database(warehouse, "warehouse", self.findings, self.words)
                places.append((database, name, system.raw_schema, name))
        there = [
            (database, name, found[0])
            for database, name, schema, relation in places
            if (found := [each for each in database.relations([schema]) if each.name == relation])
        ]
        new = True
        while new:
            new = False
            for database, name, relation in there:
                for column in ways.leading(name):
                    if column in relation.columns:
                        values = database.values(relation, ways.rule(name), column)
                        new = ways.learn(name, column, values) or new

    def operational(self, source: Connection, name: str, ways: Ways) -> None:
        """Every table of a system, and everything else that is in its database."""
        system = ways.system
        database = Database(source, "operational", self.findings, self.words)
        declared = {system.source_of(table): table for table in system.tables}
        schemas = {schema for schema, _ in declared}
        relations = database.relations(views=self.deep)
        for schema, table in declared.keys() - {(each.schema, each.name) for each in relations}:
            self.findings.blind(f"operational: {schema}.{table} is declared, and not there")
        for relation in relations:
            self.tell(f"{name}: {relation.place}")
            with translated(relation.place):
                table = declared.get((relation.schema, relation.name))
                if table is not None:
                    database.look(name, relation, ways.rule(table))
                else:
                    self._undeclared(database, relation, [(name, ways)], own=relation.schema in schemas)
        self._besides(database, name)

    def _undeclared(
        self, database: Database, relation: Relation, systems: Sequence[tuple[str, Ways]], *, own: bool
    ) -> None:
        """A relation that no catalog has: a copy of a table, or one whose columns are named like a table's.

        Args:
            own: it is in a schema of the system: then what columns are named is enough.
        """
        if relation.kind != "v" and not (own and _PASSING.fullmatch(relation.name)):
            self.findings.unknown(f"{database.store}: {relation.place}")
        columns = set(relation.columns)
        asked = False
        for name, ways in systems:
            rule = ways.rule_of_copy(relation.name, columns)
            if rule is None:
                rule = ways.rule_of_names(columns) if own or not self._ambiguous(columns) else Rule()
            if rule.ways or not asked:
                database.look(name if rule.ways or own else "", relation, rule, "not asked" if asked else "a row's")
                asked = True

    def _ambiguous(self, columns: set[str]) -> bool:
        """Whether columns are named like those of several systems: then nobody can say whose a row is."""
        return sum(bool(ways.rule_of_names(columns).subjects) for _, ways in self.ways) > 1

    def warehouse(self, connection: Connection) -> None:
        """Every relation of the warehouse."""
        database = Database(connection, "warehouse", self.findings, self.words)
        by_name = dict(self.ways)
        raw = {ways.system.raw_schema: name for name, ways in self.ways}
        for relation in database.relations(views=self.deep):
            self.tell(relation.place)
            model = self.stores.models.get((relation.schema, relation.name))
            with translated(relation.place):
                if relation.schema in raw:
                    self._raw(database, relation, raw[relation.schema], by_name[raw[relation.schema]])
                elif relation.schema in _OWN:
                    database.look("", relation, Rule(), "a log's")
                elif model is not None:
                    if model.system in by_name:
                        rule = by_name[model.system].rule_of_names(set(relation.columns), set(model.persons))
                        rule = Rule(rule.ways, (), rule.subjects, rule.key, model.free)
                        database.look(model.system, relation, rule)
                elif not relation.schema.startswith("raw_"):  # of a system that nobody is sought in
                    self._undeclared(database, relation, self.ways, own=False)
        self._besides(database, "")

    def _raw(self, database: Database, relation: Relation, name: str, ways: Ways) -> None:
        table = relation.name.removesuffix(_FEED)
        if table in ways.system.tables:
            database.look(name, relation, ways.rule(table))
        else:
            self._undeclared(database, relation, [(name, ways)], own=True)

    def _besides(self, database: Database, name: str) -> None:
        """What the server keeps that is no row."""
        self.tell(f"{name or database.store}: statistics")
        with translated(f"{name or database.store} (what is kept besides rows)"):
            database.statistics()
            database.large_objects()
            database.statements()

    def lake(self, warehouse: Connection) -> None:
        """Every object of the systems' tables, and what the platform keeps beside them."""
        layouts = self._layouts(warehouse)
        for name, ways in self.ways:
            root = self.stores.lake.under(name)
            folders = {each.path.partition("/")[0] for each in root.list()}
            if not root.local:
                folders |= {each.path.partition("/")[0] for each in root.versions()}
            for folder in sorted(folders):
                self.tell(f"lake: {name}/{folder}")
                declared = folder in ways.system.tables
                if not declared:
                    self.findings.unknown(f"lake: {name}/{folder}")
                rule = ways.rule(folder) if declared else ways.rule_of_names(ways.named)
                LakeTable(
                    root.under(folder), name, folder, rule, self.findings, self.words, layouts.get((name, folder), {}),
                    self.deep,
                ).look()  # fmt: skip
        look_at_objects(self.stores.lake, "_drivetrain", self.findings, self.words)

    def _layouts(self, warehouse: Connection) -> dict[tuple[str, str], dict[str, str]]:
        """By table and path, how files are told apart."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        if not warehouse.execute("SELECT to_regclass('platform.lake_file') IS NOT NULL").fetchall()[0][0]:
            return found
        rows = warehouse.execute(
            sql.SQL(
                "SELECT m.system, m.table_name, f.path, m.layout FROM platform.lake_file AS f"
                " JOIN platform.tier_move AS m ON m.id = f.move WHERE m.layout IS NOT NULL AND m.system = ANY(%s)"
            ),
            ([name for name, _ in self.ways],),
        )
        for system, table, path, layout in rows:
            found.setdefault((system, table), {})[path] = layout
        return found

    def dagster(self, connection: Connection) -> None:
        """Runs, their tags, events and metadata: text only, as rows there are nobody's."""
        database = Database(connection, "dagster", self.findings, self.words)
        for relation in database.relations():
            self.tell(f"dagster: {relation.name}")
            with translated(relation.place):
                database.look("", relation, Rule(), "a log's")
        self._besides(database, "")
