"""The command ``drivetrain``.

Exit codes: 0 done; 1 done and something is wrong (a finding, a failed asset); 2 the command or a setting is wrong;
3 a server is not there or refuses; 130 interrupted. A user's mistake gets a message and advice, never a traceback.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer

from pipelines.cli import (
    audit,
    capture,
    catalog,
    certificate,
    demo,
    docs,
    erasure,
    export,
    hold,
    keys,
    metrics,
    monitor,
    partitions,
    prove,
    query,
    replaying,
    restriction,
    retention,
    runs,
    servers,
    status,
    subject,
    tiers,
    ui,
    verification,
)
from pipelines.cli.output import errors, show_error
from warehouse.errors import AccessDenied, CatalogError, ConfigurationError, DrivetrainError, TransientError

app = typer.Typer(
    name="drivetrain",
    help="Ingest, prove, model and check the data of five applications, from one catalog.\n\n"
    "Start with `drivetrain demo`, then `drivetrain ui`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 something is wrong with the data or a run, 2 wrong command or setting, "
    "3 a server is away or refuses, 130 interrupted.",
)
app.command("demo")(demo.demo)
app.add_typer(servers.app, name="servers")
app.add_typer(catalog.app, name="catalog")
app.add_typer(partitions.app, name="partitions")
app.add_typer(tiers.app, name="tiers")
app.add_typer(retention.app, name="retention")
erasure.app.command("verify")(verification.verify)
erasure.app.command("replay")(replaying.replay)
app.add_typer(erasure.app, name="erasure")
app.add_typer(restriction.app, name="restriction")
app.add_typer(export.app, name="export")
app.add_typer(hold.app, name="hold")
app.add_typer(audit.app, name="audit")
app.add_typer(subject.app, name="subject")
app.add_typer(certificate.app, name="certificate")
app.add_typer(keys.app, name="keys")
app.command("ingest")(runs.ingest)
app.add_typer(capture.app, name="capture")
app.command("build")(runs.build)
app.command("refresh")(runs.refresh)
app.command("metric")(metrics.metric)
app.command("monitor")(monitor.monitor)
app.command("prove")(prove.prove)
app.command("sql")(query.sql)
app.command("docs")(docs.docs)
app.command("status")(status.status)
app.command("ui")(ui.ui)


def exit_code(error: DrivetrainError) -> int:
    """The exit code that an error ends the command with."""
    if isinstance(error, ConfigurationError | CatalogError):
        return 2
    return 3 if isinstance(error, TransientError | AccessDenied) else 1


def main() -> None:
    """Run the command line; the console script's entry point."""
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        app()
    except DrivetrainError as error:
        show_error(error)
        sys.exit(exit_code(error))
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer ends with 130 where a command raised KeyboardInterrupt, as one does whose run Dagster saw interrupted.
        if isinstance(end, SystemExit) and end.code != 130 and (not interrupted or end.code in (None, 0)):
            raise
        errors.print("Interrupted. Nothing is lost: run the same command again.")
        sys.exit(130)
