"""The names of the three servers, their databases and roles, and what a caller sees of a server.

What does not belong here: anything that touches a process, a file or a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

HOST = "127.0.0.1"
SYSTEMS = ("bikenode", "throttlecove", "logistics", "carddb", "shop")

OPERATIONAL, WAREHOUSE, REPLICA = "operational", "warehouse", "replica"
SERVERS = (OPERATIONAL, WAREHOUSE, REPLICA)
"""In the order in which they start: the replica needs the primary."""

DATABASES: Mapping[str, tuple[str, ...]] = {
    OPERATIONAL: SYSTEMS,
    WAREHOUSE: ("warehouse", "dagster"),
    REPLICA: SYSTEMS,
}

SUPERUSER = "postgres"
READER = "drivetrain_reader"
MAINTAINER = "drivetrain_maintainer"
"""Acts for the owners of the applications' tables: partitions are made by nobody less."""
CAPTURER = "drivetrain_capturer"
"""Reads the log of what changes; of the tables themselves nothing."""
REPLICATION = "drivetrain_replication"
PLATFORM = "drivetrain"
ORCHESTRATOR = "drivetrain_dagster"
"""Owns Dagster's own database, and nothing else."""
ANALYST = "analyst"
#: Logins of those who handle requests of persons, each a member of the role ``drivetrain_<name>``.
OFFICERS = ("requester", "approver", "auditor")
"""Reads schema ``masked`` of the warehouse, and nothing else."""
VERIFIER = "verifier"
"""Reads all of the warehouse and of Dagster's database, to prove that an erased person is nowhere; writes nothing."""
ROLES = (SUPERUSER, READER, MAINTAINER, CAPTURER, REPLICATION, PLATFORM, ORCHESTRATOR, ANALYST, *OFFICERS, VERIFIER)

SLOT = "drivetrain_replica"


@dataclass(frozen=True)
class Server:
    """One server as it is at this moment. ``repr`` never shows a password; ``dsn`` does."""

    name: str
    port: int
    data_directory: Path
    log_file: Path
    pid: int | None
    host: str = HOST
    passwords: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)

    @property
    def running(self) -> bool:
        return self.pid is not None

    def dsn(self, database: str, user: str | None = None) -> str:
        """A connection string with its password; ``user`` is the superuser unless told.

        The servers have no TLS and listen on loopback only, so the string says so: a ``PGSSLMODE=require``
        of the user's environment is meant for other servers.
        """
        user = user or SUPERUSER
        login = f"{quote(user, safe='')}:{quote(self.passwords[user], safe='')}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(database, safe='')}?sslmode=disable"
