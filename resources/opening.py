"""The one place where a run opens the warehouse: migrated, and not restored to before an erasure.

Whoever writes, or answers from it, passes here once at its start. It takes one listing of the object store, and nothing
of it where nobody was ever erased and it is away.
"""

from __future__ import annotations

from resources.settings import Settings
from warehouse.postgres.sessions import Dsn, connect
from warehouse.state.migrate import migrate
from warehouse.state.tombstones import COPIES, refuse_restored


def open_warehouse(settings: Settings, *, read_only: bool = False) -> Dsn:
    """Where the warehouse is, once it may be used.

    Args:
        settings: where everything is.
        read_only: it is not migrated.

    Raises:
        Restored: tombstones since its backup were not replayed.
    """
    dsn = settings.warehouse()
    with connect(dsn, read_only=read_only) as connection:
        if not read_only:
            migrate(connection)
        refuse_restored(connection, settings.lake())
    return dsn


def forget_embedded(settings: Settings) -> None:
    """The embedded warehouse was destroyed: its copies in the home's own lake can be read by nobody any more.

    The next one would be taken for it, restored to before the first erasure.
    """
    if settings.get("LAKE_URL") is None and settings.get("WAREHOUSE_DSN") is None:
        noted = settings.lake().under(COPIES.partition("/")[0])
        for each in noted.list():
            noted.remove(each.path)
