"""What commands share to speak with people and with scripts."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

from warehouse.errors import DrivetrainError

# Bound to the real streams: what a run prints meanwhile is sent to a file (``running.run_job``).
console = Console(file=sys.stdout, highlight=False)
errors = Console(file=sys.stderr, highlight=False)
#: Seconds after which a log hears again of what takes long.
EVERY = 5.0


@contextmanager
def working(text: str) -> Generator[Callable[[str], None]]:
    """What takes long tells its steps: in one line that changes; where there is no terminal, on standard error now and
    then.
    """
    said_at = time.monotonic()

    def tell(step: str) -> None:
        nonlocal said_at
        progress.update(step)
        if not console.is_terminal and time.monotonic() - said_at >= EVERY:
            said_at = time.monotonic()
            errors.print(step, style="dim", soft_wrap=True)

    with console.status(text) as progress:
        yield tell


def counted(number: int, singular: str) -> str:
    """A number and what is counted: ``1 asset``, ``4,000 assets``."""
    return f"{number:,} {singular}{'' if number == 1 else 's'}"


def show_json(value: Any) -> None:
    """Print one JSON document to standard output, and nothing else."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def show_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as CSV to standard output, and nothing else."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def show_error(error: DrivetrainError) -> None:
    """Say what is wrong and what to do, on standard error."""
    errors.print(Text("error: ", style="bold red").append(Text(error.message, style="default")), soft_wrap=True)
    if error.hint:
        errors.print(Text(f"  {error.hint}", style="dim"), soft_wrap=True)
