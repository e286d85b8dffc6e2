"""The end of the demo: one rider of logistics asks to be erased, is, and cannot be brought back.

What does not belong here: how a request is carried out (``resources.erasure``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from pipelines.cli.output import console, counted
from pipelines.erasing import rebuild_for
from resources import erasure
from resources.reading import query_tiers
from resources.settings import Settings
from warehouse.erasure.identifiers import Identifier
from warehouse.ingest import ingest_table, open_snapshot
from warehouse.lake.store import Store
from warehouse.state.requests import Request
from warehouse.state.tasks import Task

SYSTEM = "logistics"
#: By which a later demo finds the request again.
REFERENCE = "drivetrain demo"
#: Who was on the road first: their ways are in the lake by now.
_FIRST = "SELECT rider_id FROM logistics.location_logs GROUP BY rider_id ORDER BY min(created_at), rider_id LIMIT 20"
#: Of these with a mail address the one with the most documents.
_RIDER = """
SELECT r.id::text, r.email, to_jsonb(r)::text FROM riders AS r LEFT JOIN rider_documents AS d ON d.rider_id = r.id
 WHERE r.email IS NOT NULL AND r.id::text = ANY(%s) GROUP BY r.id ORDER BY count(d.*) DESC, r.id LIMIT 1
"""


@dataclass(frozen=True)
class Erased:
    """What became of it.

    Attributes:
        tasks: what went from where.
        certificate: its number.
        kept_out: rows of the rider that the database showed again, and that nobody let in; None: that was tried before.
    """

    request: int
    state: str
    tasks: tuple[Task, ...]
    certificate: str
    kept_out: int | None


def erase_one(settings: Settings, tell: Callable[[str], None]) -> Erased:
    """File, confirm, plan, approve and carry out, each as who may; go on where an earlier demo was cut off."""
    request = next((each for each in erasure.requests(settings) if each.reference == REFERENCE), None)
    if request is not None and request.state.startswith("completed"):
        number = erasure.certificates(settings, request.id)[-1][0]
        return Erased(request.id, request.state, erasure.tell(settings, request.id).tasks, number, None)
    account = ""
    if request is None:
        tell("a rider asks to be erased")
        rider, mail, account = _choose(settings)
        _upload(settings, rider)
        now = dt.datetime.now(dt.UTC)
        request = erasure.file_request(settings, "erasure", "dpdp", [Identifier("email", mail)], now, REFERENCE).request
        erasure.confirm(settings, request.id, [(SYSTEM, rider)])
    _approve(settings, request, tell)
    outcome = erasure.run(settings, request.id, rebuild=rebuild_for(settings, request.id), tell=tell)
    tell("somebody brings the rider back")
    kept_out = _bring_back(settings, account) if account and outcome.certificate else None
    return Erased(request.id, outcome.state, outcome.tasks, outcome.certificate, kept_out)


def show_erased(erased: Erased) -> None:
    """For whoever watches the demo."""
    rows = sum(task.actual for task in erased.tasks)
    stores = ", ".join(sorted({task.store for task in erased.tasks if task.actual}))
    console.print(f"  request {erased.request}: [bold]{erased.state}[/]; {counted(rows, 'row')} from {stores}")
    if erased.certificate:
        console.print(f"  certificate {erased.certificate} (drivetrain certificate save {erased.request} FILE)")
    if erased.kept_out is not None:
        console.print(
            f"  then the rider's account was put back into the database and ingested:"
            f" {counted(erased.kept_out, 'row')} left out, nobody is back", soft_wrap=True,
        )  # fmt: skip


def _approve(settings: Settings, request: Request, tell: Callable[[str], None]) -> None:
    """From wherever it is; the approver is another login than the requester."""
    state = erasure.tell(settings, request.id).request.state
    if state in ("received", "verifying"):
        erasure.confirm(settings, request.id, None)
        state = "scoping"
    if state in ("scoping", "planned", "awaiting_approval", "blocked_hold"):
        tell("what a request demands, counted")
        plan, _ = erasure.plan(settings, request.id)
        erasure.approve(settings, request.id, plan.sha256, dt.timedelta(days=1))


def _choose(settings: Settings) -> tuple[str, str, str]:
    """A rider's key and mail address, and the account as JSON."""
    first = query_tiers(settings, _FIRST).rows.column("rider_id").to_pylist()
    with _database(settings) as connection:
        ((rider, mail, account),) = connection.execute(_RIDER, ([str(each) for each in first],)).fetchall()
        return rider, mail, account


def _upload(settings: Settings, rider: str) -> None:
    """The rider's documents as files: the generated data have their names only."""
    with _database(settings) as connection:
        rows = connection.execute(
            "SELECT bucket, object_key FROM rider_documents WHERE rider_id::text = %s", (rider,)
        ).fetchall()
    objects = settings.objects()
    for bucket, key in rows:
        folder: Store = objects.under(bucket)
        folder.put(key, hashlib.sha256(key.encode()).digest())


def _bring_back(settings: Settings, account: str) -> int:
    """Put an account back as a restored database would, and ingest it: the rows left out. Then it goes again."""
    system = settings.catalog().systems[SYSTEM]
    with _database(settings) as connection:
        ((rider,),) = connection.execute(
            "INSERT INTO riders OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::riders, %s::jsonb)"
            " RETURNING id",
            (account,),
        ).fetchall()
        try:
            with open_snapshot(settings.primary(SYSTEM), None) as snapshot:
                return ingest_table(snapshot, settings.warehouse(), system, "riders").kept_out
        finally:
            connection.execute("DELETE FROM riders WHERE id = %s", (rider,))


def _database(settings: Settings) -> psycopg.Connection[Any]:
    return psycopg.connect(settings.servers().system_admin_dsn(SYSTEM), autocommit=True)
