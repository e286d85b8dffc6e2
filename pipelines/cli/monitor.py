"""``drivetrain monitor``: what Prometheus needs to know, as a file, at an address, or on the screen."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, generate_latest, start_http_server, write_to_textfile
from prometheus_client.core import Metric

from pipelines.cli.output import console, errors
from pipelines.monitoring import Readers, families
from pipelines.proofs import Proof, dagster_instance, read_proofs
from resources.monitoring import read_all
from resources.settings import Settings
from resources.tiering import tiered_tables
from warehouse.catalog import Catalog
from warehouse.errors import ConfigurationError, DrivetrainError


def monitor(
    textfile: Annotated[
        Path | None, typer.Option(help="Write them to this file, as node_exporter's textfile collector reads them.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help="HOST:PORT to serve /metrics on until Ctrl-C, for Prometheus to scrape.")
    ] = None,
    every: Annotated[
        int, typer.Option(help="With --listen: read the databases at most once in so many seconds.", min=0)
    ] = 60,
) -> None:
    """Print metrics of the platform in Prometheus' format: sizes, freshness, lag, what moved and what was proven.

    (`drivetrain metric` computes metrics of the business.) Exits 3 if the warehouse is away; what is known is said.
    """
    if textfile is not None and listen is not None:
        raise ConfigurationError("--textfile and --listen exclude each other", hint="Run the command twice.")
    address = _address(listen) if listen is not None else None
    settings = Settings.load()
    catalog = settings.catalog()
    seen: list[bool] = []

    def read(at: dt.datetime) -> list[Metric]:
        found = read_all(settings, at)
        seen[:] = [found.warehouse_up]
        for failure in found.failures:
            errors.print(f"not read: {failure}", style="yellow", markup=False, soft_wrap=True)
        return list(families(found, _proofs(settings, catalog)))

    registry = CollectorRegistry()
    registry.register(Readers(read, dt.timedelta(seconds=every)))
    with settings.embedded_servers():
        if address is not None:
            _serve(address, registry)
        elif textfile is not None:
            _write(textfile, registry)
        else:
            sys.stdout.write(generate_latest(registry).decode())
    if not listen and seen != [True]:
        raise typer.Exit(3)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or not host.strip("[]"):
        raise ConfigurationError(f"--listen: {text!r} is no HOST:PORT", hint="For example: 127.0.0.1:9187")
    return host.strip("[]"), int(port)


def _serve(address: tuple[str, int], registry: CollectorRegistry) -> None:
    """Until Ctrl-C or SIGTERM."""
    ended = threading.Event()
    try:
        server, thread = start_http_server(address[1], addr=address[0], registry=registry)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {address[0]}:{address[1]}: {error.strerror}", hint="Name another port or address."
        ) from None
    # systemd and Docker end a service with SIGTERM.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    console.print(f"Metrics are at http://{address[0]}:{server.server_port}/metrics. Ctrl-C ends this.")
    ended.wait()
    server.shutdown()
    thread.join()


def _write(file: Path, registry: CollectorRegistry) -> None:
    """Whole or not at all: the collector may read at any moment."""
    try:
        write_to_textfile(str(file), registry)
        os.chmod(file, 0o644)  # node_exporter runs as somebody else, and nothing in it is secret
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror}", hint="Name a file that can be.") from None


def _proofs(settings: Settings, catalog: Catalog) -> Mapping[str, Proof] | None:
    """What Dagster has of the checks that account for every row; None where its storage does not answer."""
    try:
        with dagster_instance(settings) as instance:
            return read_proofs(instance, dict.fromkeys(system.system for system, _ in tiered_tables(catalog)))
    except DrivetrainError as error:
        errors.print(f"not read: {error.message}", style="yellow", markup=False, soft_wrap=True)
        return None
