"""The configuration files of a server, as text.

What does not belong here: writing them, or choosing a port.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from demo.servers.model import HOST, REPLICA, REPLICATION, SLOT
from warehouse.errors import DemoError

INCLUDE = (
    "\n# Everything that differs from the defaults is in the file below, which is rewritten at every start.\n"
    "include '../server.conf'\n"
)

# Loopback and passwords only; nothing is trusted, not even a local user.
HBA = f"""\
# type  database     user                  address       method
host    all          all                   {HOST}/32  scram-sha-256
host    replication  {REPLICATION}  {HOST}/32  scram-sha-256
"""

BASE: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "300",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    # A refused row, and the statement that brought it, stay out of the log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "shared_preload_libraries": "pg_stat_statements",
    # Modest memory: three servers share the machine with Dagster, dbt and the person at the keyboard.
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    # Solid-state storage: what is looked up by key is looked up, however large the table.
    "random_page_cost": "1.1",
    "jit": "off",
    "autovacuum": "on",
    "wal_level": "logical",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # A replica that is switched off for long must not fill the disk; it is then made anew.
    "max_slot_wal_keep_size": "1GB",
}

OF_REPLICA: Mapping[str, str] = {
    "hot_standby": "on",
    # Vacuum on the primary waits for the replica's queries rather than cancelling them ...
    "hot_standby_feedback": "on",
    # ... and what still conflicts (a DROP PARTITION, say) waits for a long read.
    "max_standby_streaming_delay": "5min",
    "primary_slot_name": SLOT,
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "1s",
}


def settings(
    name: str, port: int, cluster_name: str, hba_file: Path, primary_port: int, extra: Mapping[str, str]
) -> str:
    """The text of ``server.conf``; ``extra`` wins over what we would choose."""
    chosen = {**BASE, "port": str(port), "cluster_name": cluster_name, "hba_file": str(hba_file)}
    if name == REPLICA:
        chosen |= OF_REPLICA
        passfile = str(hba_file.parent / REPLICA / "pgpass").replace("\\", "\\\\").replace("'", "\\'")
        chosen["primary_conninfo"] = (
            f"host={HOST} port={primary_port} user={REPLICATION} passfile='{passfile}' "
            f"application_name={SLOT} sslmode=disable gssencmode=disable"
        )
    return "".join(f"{key} = {_quoted(key, value)}\n" for key, value in (chosen | dict(extra)).items())


def _quoted(key: str, value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_.]*", key, re.IGNORECASE) or "\n" in value:
        raise DemoError(f"Not a setting of PostgreSQL: {key!r} = {value!r}")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
