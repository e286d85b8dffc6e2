"""``drivetrain ui``: the Dagster UI with its schedules and sensors, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import console
from pipelines.cli.running import platform
from resources.dbt import ensure_manifest
from resources.settings import PROJECT, Settings
from warehouse.errors import ServerUnavailable

_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 120


def ui(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; the next free one from 3000 if left out.", min=0, max=65535)
    ] = 0,
) -> None:
    """Serve Dagster on 127.0.0.1 until Ctrl-C, with the embedded servers if they are needed.

    Schedules and sensors run while it is up.
    """
    # systemd and Docker end a service with SIGTERM, which would end this process and leave Dagster's.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    settings = Settings.load()
    settings.catalog()
    chosen = port or _free_port(3000)
    with console.status("Starting …") as spinner, platform(settings, spinner.update):
        ensure_manifest(settings)
        command = [
            str(Path(sys.executable).with_name("dagster")), "dev", "--workspace", str(PROJECT / "workspace.yaml"),
            "--host", _HOST, "--port", str(chosen), "--log-level", "warning",
        ]  # fmt: skip
        # A session of its own: Ctrl-C reaches this process alone, which then stops Dagster before the servers.
        log = settings.folder("logs") / "dagster.log"
        with log.open("a") as sink:
            process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait(process, chosen, log)
            spinner.stop()
            console.print(f"Dagster is at [bold]http://{_HOST}:{chosen}[/]. Ctrl-C stops it.")
            console.print(f"[dim]What it prints goes to {log}[/]")
            code = process.wait()
        except KeyboardInterrupt:
            console.print("Stopping …")
            code = 0
        finally:
            _stop(process)
    raise typer.Exit(code)


def _free_port(start: int) -> int:
    for candidate in range(start, start + 100):
        with socket.socket() as probe:
            try:
                probe.bind((_HOST, candidate))
                return candidate
            except OSError:
                continue
    raise ServerUnavailable(f"no free port between {start} and {start + 99}", hint="Choose one with --port.")


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerUnavailable(
                f"Dagster ended with code {process.returncode} before it served; it said:\n{_tail(log)}",
                hint=f"Is port {port} taken? The whole log is {log}.",
            )
        try:
            with urllib.request.urlopen(f"http://{_HOST}:{port}/server_info", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise ServerUnavailable(f"Dagster did not serve within {_PATIENCE_SECONDS} s; it said:\n{_tail(log)}")


def _tail(log: Path, lines: int = 8) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End Dagster and the processes it started: gently, then for good."""
    for sign, patience in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    process.poll()
