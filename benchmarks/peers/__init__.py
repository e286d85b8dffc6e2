"""Other tools that do a like job, in an environment of their own that is made for one run and thrown away.

They are measured where ``--peers`` asks for it, and where a peer is missing the notes say why. None of them reconciles.
What a peer cannot bring is found out beforehand, left out of its turns and said in the notes, as are changed types.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from benchmarks.model import BenchmarkError, Candidate, Sample
from benchmarks.processes import Command, timed
from benchmarks.stage import Stage
from demo.servers import SYSTEMS
from demo.servers.model import PLATFORM, READER

REQUIREMENTS = (
    "dlt==1.31.0",
    "sqlalchemy<2.1",
    "psycopg2-binary==2.9.13",
    "pyarrow==26.0.1",
    "pandas==3.1.1",
    "polars==1.*",
    "connectorx==0.4.*",
    "duckdb==2.0.0",
    "adbc-driver-postgresql==1.*",
    "sling-linux-amd64==1.4.11",
)
ROLE = "benchmark_peer"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_SLING = "import sling_linux_amd64 as s; print(s.SLING_BIN)"


def install(folder: Path, tell: Callable[[str], None]) -> Path:
    """Make the environment of the peers from the package index; gives its interpreter.

    A package that cannot be installed here (sling's wheel is for Linux on x86-64) is left out and noticed later.
    """
    tell("installing the peers (about a minute)")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    for requirements in (REQUIREMENTS[:-1], REQUIREMENTS[-1:]):
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        subprocess.run(pip, capture_output=True, check=False)
    return python


def peers(stage: Stage, notes: list[str]) -> dict[str, Candidate]:
    """The peers that can be timed; the notes tell of those that cannot, and of what the others leave out."""
    if stage.peers_python is None:
        notes.append("Peers (dlt, sling) were not measured: ask for them with --peers.")
        return {}
    notes.append(f"Peers: {', '.join(REQUIREMENTS)}, with their defaults. They compare nothing afterwards.")
    found: dict[str, Candidate] = {}
    for name, ready in (("dlt (pyarrow)", _dlt), ("sling", _sling)):
        stage.tell(f"trying {name}")
        try:
            commands = ready(stage, notes)
            with stage.database() as database:
                timed([[command] for command in commands(database)])
                missing = stage.missing(database)
                notes.append(_types_note(name, *stage.other_types(database)))
            if len(missing) == len(stage.tables):
                raise BenchmarkError(f"nothing arrived ({missing[0]})")
        except (BenchmarkError, OSError, ValueError) as error:
            notes.append(f"{name} was not measured: {error}")
            continue
        if missing:
            left = sum(
                stage.rows[system][table] for system, table in (line.split(":")[0].split(".") for line in missing)
            )
            notes.append(
                f"{name} is timed without {len(missing)} of {len(stage.tables)} tables (of {left:,} rows), which it did"
                " not bring whole: it has less to do than everybody else."
            )
        found[name] = lambda name=name, commands=commands: _load(stage, name, commands)
    return found


def _types_note(name: str, changes: list[str], columns: int) -> str:
    common = ", ".join(f"{change} ({count})" for change, count in Counter(changes).most_common(4))
    return f"{name} changes the types of {len(changes)} of {columns} columns{': ' if changes else ''}{common}."


#: Gives the processes that load a database, one per system.
_Commands = Callable[[str], list[Command]]


def _load(stage: Stage, name: str, commands: _Commands) -> Mapping[str, Sample]:
    with stage.database() as database:
        return {name: timed([[command] for command in commands(database)]).sample}


def _dlt(stage: Stage, notes: list[str]) -> _Commands:
    """One pipeline per system, without the tables that dlt refuses."""
    script = [str(stage.peers_python), "-W", "ignore", str(Path(__file__).parent / "dlt_copy.py")]
    wanted: dict[str, list[str]] = {}
    reasons: Counter[str] = Counter()
    with stage.database() as database:
        for system in SYSTEMS:
            tables = _tables(stage, system)
            probe = _command(stage, system, database, [*script, "probe", f"raw_{system}", *tables])
            refused: dict[str, str] = json.loads(timed([[probe]]).last_line)
            wanted[system] = [table for table in tables if table not in refused]
            reasons.update(reason.partition(":")[0] for reason in refused.values())
    if reasons:
        counted = ", ".join(f"{kind} ({count})" for kind, count in reasons.most_common())
        notes.append(f"dlt refuses tables with: {counted}.")
    return lambda database: [
        _command(stage, system, database, [*script, "copy", f"raw_{system}", *tables])
        for system, tables in wanted.items()
        if tables
    ]


def _sling(stage: Stage, notes: list[str]) -> _Commands:
    """One replication per system, without the tables that sling cannot bring."""
    asked = subprocess.run([str(stage.peers_python), "-c", _SLING], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise BenchmarkError("sling-linux-amd64 could not be installed here")
    program = asked.stdout.strip()
    with stage.database() as database:
        said: list[str] = []
        for system in SYSTEMS:  # a stream that fails does not keep sling from the next one
            file = _replication(stage, system, _tables(stage, system))
            try:
                timed([[_command(stage, system, database, [program, "run", "-r", str(file)])]])
            except BenchmarkError as error:
                said.append(_ANSI.sub("", str(error).rpartition("/ ")[2]).strip())
        left_out = {line.partition(":")[0] for line in stage.missing(database)}
    if said:
        notes.append(f"sling fails on {', '.join(sorted(left_out))} ({'; '.join(said)}).")
    files = {
        system: _replication(stage, system, [t for t in _tables(stage, system) if f"{system}.{t}" not in left_out])
        for system in SYSTEMS
    }
    return lambda database: [
        _command(stage, system, database, [program, "run", "-r", str(file)]) for system, file in files.items()
    ]


def _replication(stage: Stage, system: str, tables: list[str]) -> Path:
    """sling's file for one system (JSON is YAML)."""
    document = {
        "source": "PEER_SOURCE",
        "target": "PEER_TARGET",
        "defaults": {"mode": "full-refresh", "object": f"raw_{system}.{{stream_table}}"},
        "streams": {f"public.{table}": None for table in tables},
    }
    file = stage.folder / f"sling-{system}.json"
    file.write_text(json.dumps(document))
    return file


def _command(stage: Stage, system: str, database: str, arguments: list[str]) -> Command:
    home = stage.folder / "peers-home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin",
        "HOME": str(home),
        "PEER_SOURCE": as_peer(stage, stage.source(system)),
        "PEER_TARGET": as_peer(stage, stage.warehouse(database)),
        "SLING_DISABLE_TELEMETRY": "true",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
    }
    return Command(arguments, environment, home)


def _tables(stage: Stage, system: str) -> list[str]:
    return [table.name for table in stage.tables if table.system == system]


def as_peer(stage: Stage, dsn: str) -> str:
    """The address with the peers' own role: other drivers refuse the embedded servers' SCRAM of one iteration."""
    parts = conninfo.conninfo_to_dict(dsn)
    file = stage.folder / "peer-password"
    if not file.exists():
        _make_role(stage, file)
    password = file.read_text()
    return f"postgresql://{ROLE}:{password}@{parts['host']}:{parts['port']}/{parts['dbname']}?sslmode=disable"


def _make_role(stage: Stage, file: Path) -> None:
    """A role like the platform's on both servers, with a password as PostgreSQL itself stores it."""
    file.touch(0o600)
    file.write_text(secrets.token_hex(16))
    for server, like, attributes in (("operational", READER, "BYPASSRLS"), ("warehouse", PLATFORM, "")):
        with psycopg.connect(stage.servers.server(server).dsn("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN " + attributes + " PASSWORD {} IN ROLE {}").format(  # type: ignore[arg-type]
                    sql.Identifier(ROLE), sql.Literal(file.read_text()), sql.Identifier(like)
                )
            )
    with psycopg.connect(stage.servers.server("operational").dsn("postgres"), autocommit=True) as connection:
        for system in SYSTEMS:
            connection.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(system), sql.Identifier(ROLE))
            )
    stage.servers.wait_for_replica()
