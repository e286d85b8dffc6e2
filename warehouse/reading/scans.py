"""What a query reads of each table: its columns, and the simplest of its conditions. Pure: SQL in, scans out.

A scan may give more rows than the query wants, never fewer: whoever runs the query applies all of its conditions again.
So only comparisons of a column with constants are taken, which no NULL passes; they hold on either side of a join.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlglot import TokenType, errors, exp, parse, parse_one, tokenize
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from warehouse.errors import ConfigurationError, listed

Tables = Mapping[str, Mapping[str, Mapping[str, str]]]
Operator = Literal["=", "<", "<=", ">", ">="]
Value = str | int | float

_OPERATORS: Mapping[type[Any], Operator] = {
    exp.EQ: "=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ")
_FLIPPED: Mapping[Operator, Operator] = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPENING = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE)
_CLOSING = (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE)
#: What may follow the list of what is selected.
_AFTER = (TokenType.FROM, TokenType.WHERE, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT, TokenType.ORDER_BY)


@dataclass(frozen=True)
class Condition:
    """A column compared with a constant, or equal to one of several."""

    column: str
    operator: Operator
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Scan:
    """One reading of one table.

    Attributes:
        name: that it has in the query as it is run.
        system, table: what is read.
        columns: in no order of meaning.
        conditions: that every row of interest fulfils.
    """

    name: str
    system: str
    table: str
    columns: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def subjects(self, column: str | None) -> tuple[Value, ...] | None:
        """The only values that a column may have; None: any."""
        for condition in self.conditions:
            if condition.column == column and condition.operator == "=":
                return condition.values
        return None

    def within(self, column: str, first: dt.datetime, end: dt.datetime) -> bool:
        """Whether a time from ``first`` up to but not including ``end`` may be of interest."""
        for condition in self.conditions:
            moments = [_moment(value) for value in condition.values]
            if condition.column != column or None in moments:
                continue
            known = cast("list[dt.datetime]", moments)
            outside = {
                "=": all(not first <= moment < end for moment in known),
                "<": first >= known[0],
                "<=": first > known[0],
                ">": end <= known[0],
                ">=": end <= known[0],
            }
            if outside[condition.operator]:
                return False
        return True


def _moment(value: Value) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def plan_query(text: str, tables: Tables) -> tuple[str, list[Scan]]:
    """What a query reads.

    Args:
        text: one SELECT, in DuckDB's dialect, which is close to PostgreSQL's; tables as ``system.table``.
        tables: PostgreSQL's types by system, table and column.

    Returns:
        The query over the scans' names, and the scans. Its columns have the names that the query gives them, or
        else those of tables' columns, or what is written: ``count(*)``.

    Raises:
        ConfigurationError: it is no SELECT, or names something that is not there.
    """
    try:
        statements = parse(text, read="duckdb")
        if len(statements) != 1 or not isinstance(statements[0], exp.Query):
            raise ConfigurationError("one SELECT is asked for", hint="`drivetrain sql` reads, and changes nothing.")
        tree: Any = statements[0]
        _refuse_unknown(tree, tables)
        headings = _name_columns(tree, text)
        schema: Any = {s: {t: dict.fromkeys(c, "unknown") for t, c in of.items()} for s, of in tables.items()}
        tree = qualify(tree, schema=schema, dialect="duckdb", quote_identifiers=True)
    except errors.SqlglotError as error:
        raise ConfigurationError(f"the query cannot be read: {str(error).splitlines()[0]}") from None
    for column in (each for each in tree.selects if each.alias):
        column.set("alias", exp.to_identifier(headings.get(column.alias, column.alias), quoted=True))
    scans: list[Scan] = []
    for scope in traverse_scope(tree):
        for alias, source in list(scope.sources.items()):
            if isinstance(source, exp.Table) and source.db:
                _to_utc(scope, alias, tables[source.db][source.name])
                scans.append(_scan(scope, alias, source, f"scan_{len(scans)}"))
                source.replace(exp.to_table(scans[-1].name).as_(alias, quoted=True))
    return tree.sql(dialect="duckdb"), scans


def _refuse_unknown(tree: Any, tables: Tables) -> None:
    shared = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not table.db and table.name in shared:
            continue
        if table.db not in tables or table.name not in tables[table.db]:
            known = listed(sorted(tables.get(table.db, tables)), table.name if table.db in tables else table.db)
            raise ConfigurationError(
                f"there is no table {table.sql()!r}", hint=f"Write system.table. There are: {known}."
            )


def _name_columns(tree: Any, text: str) -> dict[str, str]:
    """Name what has no name by what is written. Returns all names by their lower case, which ``qualify`` gives them."""
    names: dict[str, str] = {}
    written = dict(zip(map(id, tree.selects), _selected(text), strict=False))
    for select in list(tree.find_all(exp.Select)):
        for column in select.selects:
            name = column.alias
            if not column.output_name and not column.is_star:
                name = written.get(id(column), "")
                if not _means(name, column):
                    name = column.sql(dialect="duckdb", normalize_functions="lower", comments=False)
                column.replace(exp.alias_(column, name, quoted=True))
            names.setdefault(name.lower(), name)
    return names


def _selected(text: str) -> list[str]:
    """What the outermost SELECT asks for, as it is written: between commas that are in no parentheses."""
    pieces: list[list[Any]] = []
    depth = 0
    for token in tokenize(text, read="duckdb"):
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        if not pieces:
            if not depth and token.token_type is TokenType.SELECT:
                pieces.append([])
        elif not depth and token.token_type is TokenType.COMMA:
            pieces.append([])
        elif not depth and token.token_type in _AFTER:
            break
        else:
            pieces[-1].append(token)
    return [text[piece[0].start : piece[-1].end + 1] if piece else "" for piece in pieces]


def _means(text: str, column: Any) -> bool:
    try:
        found: Any = parse_one(text, read="duckdb")
    except errors.SqlglotError:
        return False
    return bool(found == column)


def _scan(scope: Any, alias: str, table: Any, name: str) -> Scan:
    columns = dict.fromkeys(column.name for column in scope.columns if column.table == alias)
    where = scope.expression.args.get("where")
    parts: list[Any] = [] if where is None else [where.this]
    if parts and isinstance(parts[0], exp.And):
        parts = list(parts[0].flatten())
    conditions = [_condition(part.unnest()) for part in parts if _of(part, alias)]
    return Scan(name, table.db, table.name, tuple(columns), tuple(each for each in conditions if each is not None))


def _to_utc(scope: Any, alias: str, types: Mapping[str, str]) -> None:
    """Constants that a time with a zone is compared with, as the engine has such times: in UTC, without one."""
    for node in scope.find_all(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In):
        columns = [each for each in node.find_all(exp.Column) if each.table == alias]
        if any(types.get(column.name, "").endswith("with time zone") for column in columns):
            for literal in node.find_all(exp.Literal):
                moment = _moment(literal.this) if literal.is_string and len(literal.this) > 10 else None
                if moment is not None:
                    literal.replace(exp.Literal.string(f"{moment.astimezone(dt.UTC).replace(tzinfo=None)}"))


def _of(part: Any, alias: str) -> bool:
    return all(column.table == alias for column in part.find_all(exp.Column))


def _condition(part: Any) -> Condition | None:
    kind: Any = part.__class__
    if kind in (exp.Between, exp.In) and isinstance(part.this, exp.Column):
        constants = [part.args["low"]] if kind is exp.Between else part.expressions
        values = [_value(each) for each in constants]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        return Condition(part.this.name, ">=" if kind is exp.Between else "=", tuple(known))
    if kind not in _OPERATORS:
        return None
    operator = _OPERATORS[kind]
    sides: list[tuple[Any, Any, Operator]] = [
        (part.left, part.right, operator), (part.right, part.left, _FLIPPED[operator]),
    ]  # fmt: skip
    for column, constant, meant in sides:
        value = _value(constant)
        if isinstance(column, exp.Column) and value is not None:
            return Condition(column.name, meant, (value,))
    return None


def _value(given: Any) -> Value | None:
    """A constant: text, a number, or either cast to a time (``DATE '2024-01-01'``)."""
    node: Any = given.unnest()
    if type(node) is exp.Cast and node.to.this.name in _TIMES:
        node = node.this
    if type(node) is exp.Neg:
        inner = _value(node.this)
        return -inner if isinstance(inner, int | float) else None
    if type(node) is not exp.Literal:
        return None
    if node.is_string:
        return str(node.this)
    return int(node.this) if node.is_int else float(node.this)
