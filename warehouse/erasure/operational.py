"""What would happen to a person's rows in a system's own tables: exact counts, or a refusal that names what is in the
way. Reads only.

What does not belong here: what follows from the catalog alone (``planning``), and changing rows (``deleting``).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from psycopg import errors, sql

from warehouse.catalog.model import System
from warehouse.erasure import sql as queries
from warehouse.erasure.planning import Outline, Reference, Step, outline
from warehouse.erasure.replacing import make_pseudonyms
from warehouse.erasure.scope import Scope
from warehouse.erasure.shape import read_shape
from warehouse.errors import CatalogMismatch, ErasureRefused
from warehouse.postgres.contract import check_system
from warehouse.postgres.persons import PersonReader, rows_about
from warehouse.postgres.sessions import Connection, translated

#: Rows that may go in one transaction, where several tables' have to.
TOGETHER = 5_000
#: What the contract only warns of and erasure cannot do with: rows or columns that nobody declared, or that lie twice.
_UNFIT = frozenset({"undeclared-schema", "undeclarable-table", "split-under-way", "forgotten-way", "no-person"})


@dataclass(frozen=True)
class Planned:
    """Of one table: what happens, to how many rows, and to how many by each subject column."""

    table: str
    action: str
    rows: int
    by_subject: Mapping[str, int]


@dataclass(frozen=True)
class OperationalPlan:
    """What happens in one database.

    Attributes:
        system: its name.
        tables: those with an action, in the order in which their rows go or change.
        notes: what else changes: rows of others from which the server takes a reference.
        steps: how.
    """

    system: str
    tables: tuple[Planned, ...]
    notes: tuple[str, ...]
    steps: tuple[Step, ...]


def operational_reader(source: Connection, system: System) -> PersonReader:
    """The way to persons through an operational database."""
    return PersonReader(source, {name: system.source_of(name) for name in system.tables})


def raw_reader(warehouse: Connection, system: System) -> PersonReader:
    """The same through what the warehouse has of it."""
    return PersonReader(warehouse, {name: (system.raw_schema, name) for name in system.tables})


def pending(step: Step, values: Mapping[str, Set[str]]) -> dict[str, sql.Composed]:
    """By subject column, the rows that erasure has still to do something about."""
    return {
        subject: queries.about(rows_about(step.types, {subject: values[subject]}), emptied, subject)
        for subject, emptied in step.emptied.items()
        if values.get(subject) and (emptied or step.action == "delete")
    }


def either(conditions: Mapping[str, sql.Composed]) -> sql.Composed:
    """Rows of any of some conditions."""
    if not conditions:
        return sql.SQL("false").format()
    return sql.SQL("({})").format(sql.SQL(" OR ").join(conditions.values()))


def count(connection: Connection, relation: sql.Identifier, condition: sql.Composable) -> int:
    """Rows of a condition, of a partitioned table as of one moment: none is missed that moves meanwhile."""
    row = connection.execute(queries.counted(relation, condition)).fetchone()
    assert row is not None
    return int(row[0])


def look_operational(source: Connection, system: System, scope: Scope) -> OperationalPlan:
    """Count what would happen to the rows of some persons.

    Args:
        source: a session that sees all rows (``connect(see_all_rows=True)``), of a role that may change them.
        system: the catalog's.
        scope: whose rows.

    Raises:
        ErasureRefused: with everything that stands in the way.
    """
    with translated(f"{system.system} (source)"):
        check_contract(source, system)
        shape = read_shape(source, sorted({system.source_of(name)[0] for name in system.tables}))
        drawn = outline(system, shape)
        problems = list(drawn.problems)
        tables = [_counted(source, step, scope) for step in drawn.steps]
        notes: list[str] = []
        for reference in drawn.references:
            _look_at(source, system, drawn, reference, scope, problems, notes)
        for step, planned in zip(drawn.steps, tables, strict=True):
            if planned.rows and step.checks:
                problems += _checked(source, system, step, scope)
            if step.together and sum(each.rows for each in tables if each.table in step.together) > TOGETHER:
                problems.append(
                    f"{system.system}.{step.table}: its rows have to go in one transaction with those of other tables,"
                    f" and are more than {TOGETHER:,}; let one of the foreign keys be NULL"
                )
    if problems:
        raise ErasureRefused(list(dict.fromkeys(problems)))
    return OperationalPlan(system.system, tuple(tables), tuple(notes), drawn.steps)


def check_contract(source: Connection, system: System) -> None:
    """Refuse what nobody declared: it may hold anything of anybody.

    Raises:
        ErasureRefused: with everything that is not as the catalog says.
    """
    found = [
        finding
        for finding in check_system(source, system)
        if finding.severity == "error" or finding.kind in _UNFIT or _spared(system, finding.table, finding.kind)
    ]
    if found:
        raise ErasureRefused([str(finding).partition(": ")[2] for finding in found])


def _spared(system: System, table: str, kind: str) -> bool:
    """Whether rows stay with a column that nobody can declare."""
    policy = system.tables.get(table)
    return kind == "undeclarable-column" and policy is not None and policy.erasure.action in ("redact", "pseudonymise")


def _counted(source: Connection, step: Step, scope: Scope) -> Planned:
    relation = sql.Identifier(*step.relation)
    conditions = pending(step, scope.about(step.table))
    by_subject = {subject: count(source, relation, condition) for subject, condition in conditions.items()}
    rows = count(source, relation, either(conditions)) if len(by_subject) > 1 else sum(by_subject.values())
    return Planned(step.table, step.action, rows, by_subject)


def _look_at(
    source: Connection, system: System, drawn: Outline, reference: Reference, scope: Scope,
    problems: list[str], notes: list[str],
) -> None:  # fmt: skip
    """Rows that reference what goes, and are not dealt with themselves."""
    key = reference.key
    steps = {step.table: step for step in drawn.steps}
    if reference.parent not in steps:
        return
    goes = either(pending(steps[reference.parent], scope.about(reference.parent)))
    values = scope.about(reference.child or "")
    dealt = {s: values[s] for s in reference.released if s in values}
    kept = queries.is_not(rows_about(steps[reference.child or ""].types, dealt)) if dealt else sql.SQL("true")
    rows = count_of(source, queries.referencing(
        sql.Identifier(*key.child), key.columns, sql.Identifier(*key.parent), key.referenced, goes, kept,
    ))  # fmt: skip
    if not rows:
        return
    where = f"{system.system}.{reference.child}.{','.join(key.columns)}"
    what = f"{rows:,} rows that stay reference rows of {reference.parent} that go, by foreign key {key.name}"
    if key.on_delete == "c":
        problems.append(f"{where}: {what}, which would delete them; ON DELETE SET NULL leaves them, or name the way"
                        " by this column under subjects:")  # fmt: skip
    elif key.on_delete in ("a", "r"):
        problems.append(f"{where}: {what}; let the column be NULL with ON DELETE SET NULL, or name the way by it under"
                        " subjects:")  # fmt: skip
    else:
        notes.append(f"{where}: {what}; the server empties that column (ON DELETE"
                     f" {'SET NULL' if key.on_delete == 'n' else 'SET DEFAULT'})")  # fmt: skip


def count_of(source: Connection, query: sql.Composed) -> int:
    """What a query counts."""
    row = source.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _checked(source: Connection, system: System, step: Step, scope: Scope) -> list[str]:
    """Try the replacement on every row, without writing it."""
    problems: list[str] = []
    for subject, condition in pending(step, scope.about(step.table)).items():
        emptied = step.emptied[subject]
        try:
            values = scope.about(step.table)[subject]
            drawn = make_pseudonyms(step.types[subject], values) if any(e.to == "pseudonym" for e in emptied) else {}
            new = {each.column: queries.new_value(each, drawn) for each in emptied}
            row = source.execute(queries.refused_by(
                sql.Identifier(*step.relation), condition, list(step.types), new,
                [check.expression for check in step.checks],
            )).fetchone()  # fmt: skip
        except (errors.IntegrityError, errors.DataError) as error:
            problems.append(
                f"{system.system}.{step.table}.{','.join(each.column for each in emptied)}: they cannot be emptied:"
                f" {error.diag.message_primary}; change the type at the source, or delete the rows"
            )
            continue
        except CatalogMismatch as error:
            problems.append(f"{system.system}.{step.table}.{subject}: {error.message}; {error.hint}")
            continue
        assert row is not None
        problems += [
            f"{system.system}.{step.table}.{','.join(check.columns)}: emptied, {broken:,} rows would break the check"
            f" {check.name}; change the check at the source, or delete the rows"
            for check, broken in zip(step.checks, row, strict=True)
            if broken
        ]
    return problems
