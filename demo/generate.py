"""Fill an application's database with its schema and data, and change it as a day of use does.

What belongs here: the order of the steps, the one transaction around them, and the record of what was done. What
does not: any table of any application; those are ``demo/<system>/schema.sql`` (tables), ``data.sql`` (rows),
``data_after_real.sql`` (rows that hang on rows that may be real) and ``changes.sql`` (a day of use), with
``demo/<system>/real.py`` where public data exist. ``demo/helpers.sql`` is what these files share.

Everything happens in one transaction that ends by writing a comment on the schema ``public``: a database is filled
and says with what, or it is as it was before. Rows are functions of (seed, scale, today), never of chance or of
the time of day.

A ``real.py`` has ``FILES``, the names of its files, and ``load(connection, folder, *, seed, today) -> set[str]``,
which fills tables and returns their names. Meanwhile ``current_setting('demo.real')`` is ``on``, so that
``data.sql`` leaves those tables alone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, Protocol, cast

import psycopg
from psycopg import sql

from demo.servers.model import MAINTAINER
from warehouse.errors import DemoError

HERE = Path(__file__).parent
MARK = "drivetrain demo: "
#: Serialises two runs on one database.
LOCK = 0x0D12_17E_7EA1

Progress = Callable[[str], None]


class RealData(Protocol):
    """What ``demo/<system>/real.py`` offers."""

    FILES: tuple[str, ...]

    def load(self, connection: psycopg.Connection, folder: Path, *, seed: int, today: dt.date) -> set[str]: ...


@dataclass(frozen=True)
class Filled:
    """What a database was filled with, as its comment tells.

    Attributes:
        real: digest of the real files that went in; None where all rows are generated.
        rows: rows per table when it was filled.
        changes: rounds of changes that were made since.
    """

    system: str
    seed: int
    scale: float
    today: str
    real: str | None = None
    rows: dict[str, int] = field(default_factory=dict[str, int])
    changes: tuple[int, ...] = ()

    @property
    def parameters(self) -> tuple[str, int, float, str, str | None]:
        return self.system, self.seed, self.scale, self.today, self.real

    def __str__(self) -> str:
        origin = f"real data {self.real}" if self.real else "generated data"
        return f"{self.system}, seed {self.seed}, scale {self.scale:g}, today {self.today}, {origin}"


def fill(
    dsn: str,
    system: str,
    *,
    seed: int,
    scale: float,
    today: dt.date,
    real: Path | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Make the schema and the rows of a system; nothing if exactly that is there already.

    Args:
        dsn: the system's database, as a superuser.
        scale: 1.0 is the demonstration, about 200,000 rows.
        today: where history ends (UTC).
        real: folder of the public data; used where the system has some.
        replace: drop what an earlier fill made with other parameters.

    Returns:
        Rows per table.

    Raises:
        DemoError: the database holds something else, or a real file is missing or malformed.
    """
    tell = progress or (lambda _: None)
    if not 0 < scale <= 100_000:
        raise DemoError(f"Scale {scale:g} makes no sense", hint="Choose a scale above 0; 1.0 is the demonstration.")
    source = _real_data(system) if real is not None else None
    digest = _digest(source, real) if source and real else None
    wanted = Filled(system, seed, float(scale), today.isoformat(), digest)
    with _connect(dsn) as connection:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            present = _read(connection)
            if present is not None and present.parameters == wanted.parameters:
                _own(connection, system)  # a database that was filled before there was an owner
                tell(f"{system}: already filled")
                return present.rows
            _make_room(connection, present, wanted, replace)
            _set(connection, wanted, round=0)
            _make_role(connection, f"{system}_app")  # before the policies that name it
            for name in ("schema.sql", "data.sql"):
                tell(f"{system}: {name}")
                _run(connection, HERE / system / name)
            if source and real:
                tell(f"{system}: real data")
                try:
                    source.load(connection, real, seed=seed, today=today)
                except psycopg.Error as error:
                    raise DemoError(
                        f"The real data of {system} do not fit its tables: {error}", hint="Nothing was changed."
                    ) from error
            if (after := HERE / system / "data_after_real.sql").exists():
                tell(f"{system}: {after.name}")
                _run(connection, after)
            _advance_sequences(connection)
            _grant(connection, system)
            _own(connection, system)
            rows = _count(connection)
            _write(connection, changed(wanted, rows=rows))
        tell(f"{system}: analyze")
        connection.execute("ANALYZE")
    return rows


def change(dsn: str, system: str, *, seed: int, round: int, today: dt.date | None = None) -> dict[str, int]:
    """Change a filled database as its application does in a day: new and late rows, updates, deletes.

    Args:
        round: which day of use, from 1; a round that was made before is not made again.
        today: where the present is; by default where the fill's history ended.

    Returns:
        Rows that were inserted, updated or deleted, per table; empty if the round was made before.
    """
    if round < 1:
        raise DemoError(f"There is no round {round} of changes", hint="Rounds count from 1.")
    with _connect(dsn) as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        present = _read(connection)
        if present is None or present.system != system:
            raise DemoError(
                f"The database holds no demonstration data of {system} to change",
                hint="Fill it first: `drivetrain demo`.",
            )
        if round in present.changes:
            return {}
        day = today or dt.date.fromisoformat(present.today)
        _set(connection, changed(present, seed=seed, today=day.isoformat()), round=round)
        _run(connection, HERE / system / "changes.sql")
        touched = _touched(connection)
        _write(connection, changed(present, changes=(*present.changes, round)))
    return touched


def filled(dsn: str) -> Filled | None:
    """What a database was filled with, or None."""
    with _connect(dsn) as connection:
        return _read(connection)


# --- how ----------------------------------------------------------------------------------------------------


def _connect(dsn: str) -> psycopg.Connection:
    try:
        return psycopg.connect(dsn, autocommit=True, application_name="drivetrain demo")
    except psycopg.OperationalError as error:
        raise DemoError(
            f"The demonstration's database does not answer: {error}",
            hint="Start the servers: `drivetrain servers up`.",
        ) from None


def _real_data(system: str) -> RealData | None:
    name = f"demo.{system}.real"
    found = (HERE / system / "real.py").exists() and importlib.util.find_spec(name)
    return cast("RealData", importlib.import_module(name)) if found else None


def _digest(source: RealData, folder: Path) -> str:
    digest = hashlib.sha256()
    for name in source.FILES:
        try:
            digest.update((folder / name).read_bytes())
        except OSError as error:
            raise DemoError(
                f"The real data file {folder / name} cannot be read: {error.strerror}",
                hint="Name a folder that has all files listed in docs/real-data.md, or fill without real data.",
            ) from None
    return digest.hexdigest()[:16]


def _read(connection: psycopg.Connection) -> Filled | None:
    row = connection.execute("SELECT obj_description(to_regnamespace('public'), 'pg_namespace')").fetchone()
    comment = row[0] if row else None
    if not isinstance(comment, str) or not comment.startswith(MARK):
        return None
    content = cast("dict[str, Any]", json.loads(comment.removeprefix(MARK)))
    return Filled(**{**content, "changes": tuple(content["changes"])})


def _write(connection: psycopg.Connection, filled: Filled) -> None:
    comment = MARK + json.dumps(asdict(filled))
    connection.execute(sql.SQL("COMMENT ON SCHEMA public IS {}").format(sql.Literal(comment)))


def _make_room(connection: psycopg.Connection, present: Filled | None, wanted: Filled, replace: bool) -> None:
    if present is None:
        strange = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('public')::oid ORDER BY 1 LIMIT 1"
        ).fetchone()
        if strange:
            raise DemoError(
                f"The database has a relation {strange[0]!r} in public that the demonstration did not make",
                hint="Give the demonstration an empty database of its own.",
            )
        return
    if not replace:
        raise DemoError(
            f"The database is filled with: {present}; wanted: {wanted}",
            hint="Ask for the same again, or replace it: `drivetrain demo --replace`.",
        )
    connection.execute("DROP SCHEMA public CASCADE")
    connection.execute("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
    connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")


def _set(connection: psycopg.Connection, wanted: Filled, *, round: int) -> None:
    """The parameters of the SQL files, and the functions that they share."""
    settings = {
        "demo.seed": str(wanted.seed),
        "demo.scale": repr(wanted.scale),
        "demo.today": wanted.today,
        "demo.round": str(round),
        "demo.real": "on" if wanted.real else "off",
        "timezone": "UTC",
        "client_min_messages": "warning",
        "jit": "off",
        "work_mem": "64MB",
        "maintenance_work_mem": "256MB",
    }
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])
    _run(connection, HERE / "helpers.sql")


def _run(connection: psycopg.Connection, file: Path) -> None:
    """Run a file of SQL statements; an error names the file and the line."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise DemoError(f"{file} cannot be read: {error.strerror}", hint="Is the system's name right?") from None
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        position = error.diag.statement_position
        line = f":{text.count(chr(10), 0, int(position)) + 1}" if position else ""
        raise DemoError(f"{file.parent.name}/{file.name}{line}: {error}", hint="Nothing was changed.") from error


def _advance_sequences(connection: psycopg.Connection) -> None:
    """Rows came with their ids; the next id of the application follows the largest of them."""
    columns = connection.execute(
        """
        SELECT c.oid::regclass::text, a.attname, pg_get_serial_sequence(c.oid::regclass::text, a.attname)
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND a.attidentity <> '' AND NOT a.attisdropped
        """
    ).fetchall()
    for table, column, sequence in columns:
        connection.execute(
            sql.SQL("SELECT setval({}, max({})) FROM {} HAVING max({}) IS NOT NULL").format(
                sql.Literal(sequence), sql.Identifier(column), sql.SQL(table), sql.Identifier(column)
            )
        )


def _make_role(connection: psycopg.Connection, role: str) -> None:
    """Unless it is there: roles are the cluster's, others make them too."""
    connection.execute(
        sql.SQL(
            "DO $$ BEGIN CREATE ROLE {role} NOLOGIN;"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        ).format(role=sql.Identifier(role))
    )


def _own(connection: psycopg.Connection, system: str) -> None:
    """Give the tables to the application's owner, and whoever maintains partitions the right to act for it."""
    owner = sql.Identifier(f"{system}_owner")
    _make_role(connection, f"{system}_owner")
    connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(owner))
    others = connection.execute(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND pg_get_userbyid(relowner) <> %s
        """,
        [f"{system}_owner"],
    ).fetchall()
    for (name,) in others:
        connection.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier("public", name), owner))
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [MAINTAINER]).fetchone() is not None:
        connection.execute(sql.SQL("GRANT {} TO {}").format(owner, sql.Identifier(MAINTAINER)))


def _grant(connection: psycopg.Connection, system: str) -> None:
    """What the application may do: rows, not tables. Row-level security applies to it.

    Not on partitions: a grant there would go past the security of their parent.
    """
    connection.execute(
        sql.SQL(
            "GRANT USAGE ON SCHEMA public TO {role};"
            "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {tables} TO {role};"
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role};"
        ).format(
            role=sql.Identifier(f"{system}_app"),
            tables=sql.SQL(", ").join(map(sql.Identifier, _tables(connection))),
        )
    )


def _tables(connection: psycopg.Connection) -> list[str]:
    """The tables, without their partitions."""
    found = connection.execute(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname
        """
    )
    return [row[0] for row in found.fetchall()]


def _count(connection: psycopg.Connection) -> dict[str, int]:
    rows: dict[str, int] = {}
    for table in _tables(connection):
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        rows[table] = row[0] if row else 0
    return rows


def _touched(connection: psycopg.Connection) -> dict[str, int]:
    """Rows that this transaction wrote, per table; a partition counts for its parent."""
    return dict(
        connection.execute(
            """
            SELECT coalesce(pg_partition_root(relid), relid)::regclass::text,
                sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint
            FROM pg_stat_xact_user_tables WHERE schemaname = 'public'
            GROUP BY 1 HAVING sum(n_tup_ins + n_tup_upd + n_tup_del) > 0 ORDER BY 1
            """
        ).fetchall()
    )
