"""Hold raw tables against what their policies expect, with Great Expectations.

Where the library has a core expectation for a rule it is used, else one in SQL. A table is asked in two steps: whether
each rule holds (one pass for most rules together), and only if one does not, how many rows break it and the keys of
some. Values of rows other than keys are never fetched.

The library takes seconds to import, so it is imported by what uses it. It gets an address without a password, and a
function that opens connections.

What does not belong here: which rules there are (``expectations``), and pages for people (``data_docs``).
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from warehouse.errors import CatalogMismatch, ServerUnavailable
from warehouse.postgres.sessions import CANONICAL, Connection, Dsn, connect, translated
from warehouse.quality.expectations import Expectation, Suite

#: Keys shown of the rows that break a rule.
EXAMPLES = 5
#: Says which driver; who and where is known to ``_opened_by`` only.
_ADDRESS = "postgresql+psycopg2://warehouse@warehouse/warehouse"


@dataclass(frozen=True)
class Outcome:
    """What became of one rule.

    Attributes:
        failed: rows that break it.
        asked_as: the library's name of the expectation.
        keys: of some of them.
    """

    expectation: Expectation
    failed: int
    asked_as: str
    keys: tuple[tuple[str, ...], ...] = ()

    @property
    def holds(self) -> bool:
        """No row breaks it."""
        return self.failed == 0


@dataclass(frozen=True)
class Verdict:
    """What became of all rules of a table.

    Attributes:
        rows: looked at.
        outcomes: of every rule, in the policy's order.
    """

    suite: Suite
    rows: int
    outcomes: tuple[Outcome, ...]

    @property
    def broken(self) -> tuple[Outcome, ...]:
        """Rules that do not hold."""
        return tuple(outcome for outcome in self.outcomes if not outcome.holds)

    @property
    def blocks(self) -> bool:
        """Whether a rule is broken that is worth stopping for."""
        return any(outcome.expectation.severity == "error" for outcome in self.broken)


class Suites:
    """A session of checking: one import, one pool of connections. Made by ``checking``."""

    def __init__(self, source: Any, session: Connection) -> None:
        self._source, self._session = source, session

    def run(self, suite: Suite) -> Verdict:
        """Hold a table against its suite.

        Raises:
            CatalogMismatch: the table or a column of it is not there, or cannot be compared so.
            ServerUnavailable: the warehouse went away.
        """
        query = rows_of(suite).as_string(self._session)
        with translated(suite.name):
            row = self._session.execute(sql.SQL("SELECT count(*) FROM ({}) AS checked").format(_raw(query))).fetchone()
        rows = int(row[0]) if row else 0
        if not suite.expectations:
            return Verdict(suite, rows, ())
        asset = self._source.add_query_asset(suite.name, query=query)
        try:
            batch = asset.add_batch_definition_whole_table("all").get_batch()
            made = [_made(suite, expectation, self._session) for expectation in suite.expectations]
            asked = _library().ExpectationSuite(name=suite.name, expectations=made)
            report = batch.validate(asked, result_format={"result_format": "BOOLEAN_ONLY"})
            if not report.success:
                report = batch.validate(asked, result_format=_detailed(suite))
        finally:
            self._source.delete_asset(suite.name)
        outcomes = tuple(
            self._outcome(suite, query, expectation, result)
            for expectation, result in zip(suite.expectations, _in_order(suite, report), strict=True)
        )
        return Verdict(suite, rows, outcomes)

    def _outcome(self, suite: Suite, query: str, expectation: Expectation, result: Any) -> Outcome:
        asked_as = str(result.expectation_config.type)
        if result.success:
            return Outcome(expectation, 0, asked_as)
        found = result.result
        if "unexpected_count" in found:
            keys = _keys_among(found.get("partial_unexpected_index_list") or [], suite.shown)
            return Outcome(expectation, int(found["unexpected_count"]), asked_as, keys)
        if "observed_value" in found:
            keys = self._keys(suite, query, expectation) if suite.shown else ()
            return Outcome(expectation, int(found["observed_value"]), asked_as, keys)
        raise _cannot_hold(suite, expectation, result)

    def _keys(self, suite: Suite, query: str, expectation: Expectation) -> tuple[tuple[str, ...], ...]:
        breaking = _breaking(suite, expectation).as_string(self._session).replace("{batch}", f"({query}) AS b")
        with translated(suite.name):
            found = self._session.execute(
                sql.SQL("SELECT * FROM ({}) AS found LIMIT {}").format(_raw(breaking), sql.Literal(EXAMPLES))
            ).fetchall()
        return tuple(tuple(str(value) for value in row) for row in found)


@contextmanager
def checking(warehouse: Dsn) -> Generator[Suites]:
    """A session of checking tables of a warehouse."""
    with (
        connect(warehouse, read_only=True, application="drivetrain quality") as session,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        context = _library().get_context(mode="ephemeral", project_config=_configuration())
        source = context.data_sources.add_postgres(
            "warehouse", connection_string=_ADDRESS, create_temp_table=False, kwargs={"creator": _opened_by(warehouse)}
        )
        try:
            yield Suites(source, session)
        finally:
            source.get_execution_engine().engine.dispose()
            source.get_engine().dispose()


def _configuration() -> Any:
    """Everything in memory: by default the library leaves a temporary folder behind for pages of its own."""
    _library()
    types: Any = importlib.import_module("great_expectations.data_context.types.base")
    return types.DataContextConfig(
        store_backend_defaults=types.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars={"globally": False},
        analytics_enabled=False,
    )


def _library() -> Any:
    """Great Expectations, which ships types that a strict checker cannot read."""
    # Read at its import: it would report its use to its makers.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    return importlib.import_module("great_expectations")


def rows_of(suite: Suite) -> sql.Composed:
    """The rows and columns that a suite looks at. Enums are compared as text: a value may be none of the enum's."""
    columns = [
        sql.SQL("CAST({0} AS text) AS {0}" if name in suite.casts else "{}").format(sql.Identifier(name))
        for name in suite.columns
    ]
    window = sql.SQL("")
    if suite.window.column is not None:
        # The sessions are in UTC.
        window = sql.SQL(" WHERE {} >= {}").format(
            sql.Identifier(suite.window.column), sql.Literal(f"{suite.window.since}")
        )
    return sql.SQL("SELECT {} FROM {}{}").format(
        sql.SQL(", ").join(columns), sql.Identifier(suite.schema, suite.table), window
    )


def _breaking(suite: Suite, expectation: Expectation) -> sql.Composed:
    """Selects the keys of rows that break a rule for which the library has no expectation; from ``{batch}``."""
    column = sql.Identifier("checked", expectation.column)
    if expectation.kind == "within":
        condition = sql.SQL("{0} NOT BETWEEN {1} - CAST({2} AS interval) AND {1} + CAST({2} AS interval)").format(
            column, sql.Identifier("checked", expectation.value), sql.Literal(expectation.most)
        )
    else:
        table, _, to = str(expectation.value).partition(".")
        condition = sql.SQL("{0} IS NOT NULL AND NOT EXISTS (SELECT FROM {1} AS referenced WHERE {2} = {0})").format(
            column, sql.Identifier(suite.schema, table), sql.Identifier("referenced", to)
        )
    shown = suite.shown or (expectation.column,)
    return sql.SQL("SELECT {} FROM (SELECT * FROM {{batch}}) AS checked WHERE {}").format(
        sql.SQL(", ").join(sql.Identifier("checked", name) for name in shown), condition
    )


def _made(suite: Suite, expectation: Expectation, session: Connection) -> Any:
    """The library's expectation for ours."""
    gxe = _library().expectations
    column, value = expectation.column, expectation.value
    common: dict[str, Any] = {
        "severity": "critical" if expectation.severity == "error" else "warning",
        "meta": {"name": expectation.name},
    }
    match expectation.kind:
        case "between":
            return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=value[0], max_value=value[1], **common)
        case "among":
            return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(value), **common)
        case "not_null":
            return gxe.ExpectColumnValuesToNotBeNull(column=column, **common)
        case "unique":
            return gxe.ExpectColumnValuesToBeUnique(column=column, **common)
        case "matches":
            return gxe.ExpectColumnValuesToMatchRegex(column=column, regex=value, **common)
        case "not_before":
            return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=column, column_B=value, or_equal=True, ignore_row_if="either_value_is_missing", **common
            )
        case "within" | "references":
            query = _breaking(suite, expectation).as_string(session)
            return gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, description=expectation.rule, **common)


def _detailed(suite: Suite) -> dict[str, Any]:
    """Counts and keys, no values."""
    detailed: dict[str, Any] = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": EXAMPLES,
        "exclude_unexpected_values": True,
    }
    if suite.shown:
        detailed["unexpected_index_column_names"] = list(suite.shown)
    return detailed


def _keys_among(places: Sequence[Any], shown: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The keys of rows, of which the library makes one record each, or, without other values, one of lists."""
    keys: list[tuple[str, ...]] = []
    for place in places:
        values = [place[name] for name in shown]
        rows = zip(*values, strict=True) if values and isinstance(values[0], list) else [values]
        keys += [tuple(map(str, row)) for row in rows if row]
    return tuple(keys[:EXAMPLES])


def _in_order(suite: Suite, report: Any) -> Sequence[Any]:
    """The library groups results by column."""
    by_name = {result.expectation_config.meta["name"]: result for result in report.results}
    return [by_name[expectation.name] for expectation in suite.expectations]


def _cannot_hold(suite: Suite, expectation: Expectation, result: Any) -> CatalogMismatch | ServerUnavailable:
    said = {
        str(info.get("exception_message", "")).strip().splitlines()[0]
        for info in _exceptions(result.exception_info)
        if info.get("exception_message")
    }
    text = "; ".join(sorted(said)) or "no reason given"
    if "OperationalError" in text:
        return ServerUnavailable(f"{suite.name}: the warehouse went away while {expectation.rule} was checked")
    return CatalogMismatch(
        f"{suite.name}: whether {expectation.rule} cannot be said: {text}",
        hint="Mend the rule in the catalog, or ingest the table first.",
    )


def _exceptions(info: Any) -> list[dict[str, Any]]:
    return [info] if "exception_message" in info else list(info.values())


def _opened_by(warehouse: Dsn) -> Any:
    """Opens read-only connections with the canonical settings; SQLAlchemy is given it in place of an address."""
    import psycopg2

    given = str(warehouse.parameters.get("options") or "")
    settings = {**CANONICAL, "default_transaction_read_only": "on"}
    switches = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())

    def opened() -> Any:
        return psycopg2.connect(
            warehouse.text, options=f"{given} {switches}".strip(), application_name="drivetrain quality"
        )

    return opened


def _raw(text: str) -> sql.SQL:
    """SQL that this module composed."""
    return sql.SQL(text)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
