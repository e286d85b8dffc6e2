"""Row by row into a raw table: what the source's log says came, changed and went.

The second way in beside ``RawTable.receive``, through the same gate. Both commit with whatever the caller writes.

What does not belong here: what the log said (``warehouse.ingest.capture``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from psycopg import sql

from warehouse.postgres.carriage import Format
from warehouse.postgres.copying import copy_rows
from warehouse.postgres.fingerprints import EMPTY, WHOLE, Fingerprint, fingerprints, month_of
from warehouse.postgres.pgoutput import UNCHANGED, Value
from warehouse.state.content import WHOLE_CHUNK
from warehouse.state.raw_store import RawTable


@dataclass(frozen=True)
class RowChanges:
    """What is to become of some rows.

    Attributes:
        there: values of rows that are there, in the order of the raw table's columns, each with the key under which the
            warehouse has those of its values that are ``UNCHANGED``.
        gone: keys of rows that are not.
    """

    there: Sequence[tuple[Sequence[Value], Sequence[bytes] | None]]
    gone: Sequence[Sequence[bytes]]


@dataclass(frozen=True)
class Applied:
    """What was done.

    Attributes:
        rows: inserted or changed, and deleted.
        bytes: that were sent.
        kept_out: rows of erased persons.
        difference: by chunk, what has to be added to the fingerprint of what the warehouse holds.
    """

    rows: int = 0
    bytes: int = 0
    kept_out: int = 0
    difference: Mapping[str, Fingerprint] = field(default_factory=dict[str, Fingerprint])


class NotAtHand(Exception):
    """Rows that the warehouse has in the lake, or cannot place: only a comparison of the table says what to do."""


def apply_changes(
    raw: RawTable,
    changes: RowChanges,
    format: Format,
    *,
    left: Collection[dt.date] = (),
    in_lake: Collection[dt.date] = (),
) -> Applied:
    """Bring rows to what they are at the source, within the caller's transaction.

    Args:
        raw: the table; the caller holds its lock.
        changes: the net effect of whole transactions.
        format: of their values.
        left: months that left the source by tiering, which alone looks after them.
        in_lake: months whose rows are in the lake.

    Raises:
        NotAtHand: a row is of such a month, or of none. Nothing is to be kept of the transaction.
    """
    return _Applying(raw, changes, format, frozenset(left), frozenset(in_lake)).run()


def apply_staged(raw: RawTable, staged: sql.Identifier) -> Applied:
    """Upsert rows that have passed the gate, within the caller's transaction.

    Args:
        raw: a table that is not kept by month; the caller holds its lock.
        staged: a temporary table of its columns, without two rows of one key.
    """
    return _Applying(raw, RowChanges((), ()), raw.carriage.format, frozenset(), frozenset()).settle(staged)


@dataclass
class _Applying:
    raw: RawTable
    changes: RowChanges
    format: Format
    left: frozenset[dt.date]
    in_lake: frozenset[dt.date]
    bytes: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        return self.raw.carriage.names

    def run(self) -> Applied:
        staged = self.raw.stage("changes")
        self._fill(staged)
        kept_out = self.raw.admit(staged, self._group())
        return replace(self.settle(staged), kept_out=kept_out.rows)

    def settle(self, staged: sql.Identifier) -> Applied:
        """Rows that are staged come into their places, others go."""
        group = self._group()
        months = self._months(staged)
        touched = self._touched(staged)
        among = self._equal(sql.SQL("t"), sql.SQL("held"), touched)
        if self.raw.month_column is not None:
            self._refuse_unknown(touched)
            among = sql.SQL("({} AND {} <> ALL({}))").format(among, self._month("held"), self._dates(self.left))
        before = self._contents(sql.SQL("{} AS held").format(self.raw.relation), among, group)
        after = self._contents(staged, None, group)
        rows = self._delete(staged, among) + self._merge(staged, months)
        difference = {chunk: after.get(chunk, EMPTY) - before.get(chunk, EMPTY) for chunk in {*before, *after}}
        changed = {chunk: each for chunk, each in difference.items() if each != EMPTY}
        return Applied(rows, self.bytes, difference=changed)

    def _fill(self, staged: sql.Identifier) -> None:
        """Send rows; those with unchanged values are completed from what the warehouse has."""
        partial: dict[tuple[int, ...], list[Sequence[Value]]] = {}

        def whole() -> Iterator[Sequence[bytes | None]]:
            for values, base in self.changes.there:
                if base is None:
                    yield cast("Sequence[bytes | None]", values)
                else:
                    lacking = tuple(place for place, value in enumerate(values) if value is UNCHANGED)
                    partial.setdefault(lacking, []).append((*base, *(v for v in values if v is not UNCHANGED)))

        self._copy(staged, self.names, whole())
        for lacking, rows in sorted(partial.items()):
            self._complete(staged, lacking, cast("list[Sequence[bytes | None]]", rows))

    def _complete(self, staged: sql.Identifier, lacking: tuple[int, ...], rows: list[Sequence[bytes | None]]) -> None:
        """Rows that lack the same columns: the key by which they were known, then the values that there are."""
        raw, run = self.raw, self.raw.connection.execute
        known = [name for place, name in enumerate(self.names) if place not in lacking]
        base = [str(number) for number in range(len(raw.key))]  # names that no other column has
        while set(base) & set(self.names):
            base = [f"_{each}" for each in base]
        partial = sql.Identifier(f"{raw.name}_partial")
        run(
            sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {}, {} FROM {} WITH NO DATA").format(
                partial,
                sql.SQL(", ").join(
                    sql.SQL("{} AS {}").format(sql.Identifier(key), sql.Identifier(name))
                    for key, name in zip(raw.key, base, strict=True)
                ),
                _list(known),
                raw.relation,
            )
        )
        self._copy(partial, (*base, *known), rows)
        raw.admit(partial, WHOLE, known)
        ((there,),) = run(sql.SQL("SELECT count(*) FROM {}").format(partial)).fetchall()
        values = [
            sql.Identifier("held" if place in lacking else "partial", name) for place, name in enumerate(self.names)
        ]
        filled = run(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS partial JOIN {} AS held ON {}").format(
                staged,
                _list(self.names),
                sql.SQL(", ").join(values),
                partial,
                raw.relation,
                sql.SQL(" AND ").join(
                    sql.SQL("held.{} = partial.{}").format(sql.Identifier(key), sql.Identifier(name))
                    for key, name in zip(raw.key, base, strict=True)
                ),
            )
        ).rowcount
        run(sql.SQL("DROP TABLE {}").format(partial))
        if filled != there:
            raise NotAtHand(f"{there - filled} rows changed of which the warehouse has not what the log leaves out")

    def _copy(self, into: sql.Identifier, names: Sequence[str], rows: Iterable[Sequence[bytes | None]]) -> None:
        copied = copy_rows(self.raw.connection, sql.SQL("{} ({})").format(into, _list(names)), rows, self.format)
        self.bytes += copied.bytes

    def _touched(self, staged: sql.Identifier) -> sql.Identifier:
        """Keys of all rows that changed."""
        raw, run = self.raw, self.raw.connection.execute
        touched = sql.Identifier(f"{raw.name}_touched")
        run(
            sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                touched, _list(raw.key), raw.relation
            )
        )
        self._copy(touched, raw.key, self.changes.gone)
        run(sql.SQL("INSERT INTO {} SELECT {} FROM {}").format(touched, _list(raw.key), staged))
        run(sql.SQL("ANALYZE {}").format(touched))
        run(sql.SQL("ANALYZE {}").format(staged))
        return touched

    def _delete(self, staged: sql.Identifier, among: sql.Composable) -> int:
        """Rows that are gone, have another key now or belong to another month."""
        same = sql.SQL("record_image_eq(ROW({}), ROW({}))").format(
            _list(self.raw.key, "t"), _list(self.raw.key, "held")
        )
        if self.raw.month_column is not None:
            same = sql.SQL("{} AND {} = {}").format(same, self._month("t"), self._month("held"))
        condition = sql.SQL("{} AND NOT {}").format(among, self._equal(sql.SQL("t"), sql.SQL("held"), staged, same))
        return self.raw.delete(condition)

    def _merge(self, staged: sql.Identifier, months: Collection[dt.date] | None) -> int:
        if months is None:
            return self.raw.merge(staged, sql.SQL("true"), {})
        rows, there = 0, self.raw.months()
        for month in sorted(months):
            of_month = sql.SQL("{} = {}").format(self._month(None), sql.Literal(month))
            if month in there:
                rows += self.raw.merge(staged, of_month, {}, month)
                continue
            child = self.raw.begin_child()
            rows += self.raw.connection.execute(
                sql.SQL("INSERT INTO {} ({c}) SELECT {c} FROM {} WHERE {}").format(
                    child, staged, of_month, c=_list(self.names)
                )
            ).rowcount
            self.raw.finish_child(month)
        return rows

    def _months(self, staged: sql.Identifier) -> set[dt.date] | None:
        """Months of what is there; of those that tiering looks after nothing stays."""
        if self.raw.month_column is None:
            return None
        run = self.raw.connection.execute
        column = sql.Identifier(self.raw.month_column)
        ((unplaced,),) = run(
            sql.SQL("SELECT count(*) FROM {} WHERE {c} IS NULL OR NOT isfinite({c})").format(staged, c=column)
        ).fetchall()
        if unplaced:
            raise NotAtHand(f"{unplaced} rows without a month")
        run(sql.SQL("DELETE FROM {} WHERE {} = ANY({})").format(staged, self._month(None), self._dates(self.left)))
        found = {month for (month,) in run(sql.SQL("SELECT DISTINCT {} FROM {}").format(self._month(None), staged))}
        if cold := found & self.in_lake:
            raise NotAtHand(f"rows of {', '.join(f'{month:%Y-%m}' for month in sorted(cold))}, which is in the lake")
        return found

    def _refuse_unknown(self, touched: sql.Identifier) -> None:
        """A row that went and is not here may be one of the lake's."""
        if not self.in_lake or not self.changes.gone:
            return
        missing = sql.SQL("SELECT count(*) FROM {} AS t WHERE NOT {}").format(
            touched, self._equal(sql.SQL("held"), sql.SQL("t"), self.raw.relation)
        )
        ((count,),) = self.raw.connection.execute(missing).fetchall()
        if count > 0:
            raise NotAtHand(f"{count} rows that are not in the warehouse, while months are in the lake")

    def _contents(
        self, table: sql.Composable, where: sql.Composable | None, group: sql.Composable
    ) -> dict[str, Fingerprint]:
        found = fingerprints(self.raw.connection, table, self.names, group=group, where=where)
        return {_chunk(each): part for each, part in found.items()}

    def _group(self) -> sql.Composable:
        return WHOLE if self.raw.month_column is None else month_of(self.raw.month_column, self.raw.month_type)

    def _month(self, alias: str | None) -> sql.Composable:
        """First day of a row's month (UTC)."""
        assert self.raw.month_column is not None
        column = sql.Identifier(alias, self.raw.month_column) if alias else sql.Identifier(self.raw.month_column)
        if self.raw.month_type.endswith("with time zone"):
            column = sql.SQL("{} AT TIME ZONE 'UTC'").format(column)
        return sql.SQL("date_trunc('month', {})::date").format(column)

    def _dates(self, days: Collection[dt.date]) -> sql.Composable:
        return sql.SQL("{}::date[]").format(sql.Literal(sorted(days)))

    def _equal(
        self, one: sql.SQL, other: sql.SQL, relation: sql.Composable, also: sql.Composable | None = None
    ) -> sql.Composed:
        """There is a row of ``relation``, called ``one``, with the key of ``other``'s."""
        equal = [sql.SQL("{}.{k} = {}.{k}").format(one, other, k=sql.Identifier(name)) for name in self.raw.key]
        return sql.SQL("EXISTS (SELECT FROM {} AS {} WHERE {})").format(
            relation, one, sql.SQL(" AND ").join([*equal, *([also] if also else [])])
        )


def _chunk(group: object) -> str:
    return group[:7] if isinstance(group, str) else WHOLE_CHUNK


def _list(columns: Sequence[str], alias: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in columns)
