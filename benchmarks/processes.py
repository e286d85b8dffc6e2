"""Time processes from outside, and watch how much memory they take.

Everybody is timed alike, from the start of the first process to the end of the last: the platform, psql and the peers
pay for their own start. Peak memory is the sum over all processes of a candidate of the kernel's own high-water mark
(``VmHWM``), read every 50 ms and therefore blind to what a process allocates in its last moment. The parent's
``getrusage`` is not used: Linux counts into a child's ``ru_maxrss`` what its parent held at the fork.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.model import BenchmarkError, Sample

_EVERY = 0.05


@dataclass(frozen=True)
class Command:
    """One process to run. The environment may hold a password, so no repr shows it."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    directory: Path | None = None
    output_to: Command | None = None
    """Another process, started with this one, that reads what it writes: ``a | b``."""


@dataclass(frozen=True)
class Timed:
    """What stages of processes took, and the last line that the last process wrote."""

    seconds: float
    peak_memory_mb: float | None
    last_line: str

    @property
    def sample(self) -> Sample:
        return Sample(self.seconds, self.peak_memory_mb)


def timed(stages: Sequence[Sequence[Command]], *, timeout: float = 3600) -> Timed:
    """Run the stages one after another, the commands of a stage all at once.

    Raises:
        BenchmarkError: a process failed; the others are ended, and the end of what it said is told.
    """
    peak: float | None = None
    last_line = ""
    started = time.perf_counter()
    for stage in stages:
        stage_peak, last_line = _run(stage, timeout)
        if stage_peak is not None:
            peak = max(peak or 0.0, stage_peak)
    return Timed(time.perf_counter() - started, peak, last_line)


def together(parts: Sequence[Sample]) -> Sample:
    """Samples of work that is done one after another, as one."""
    memory = [part.peak_memory_mb for part in parts if part.peak_memory_mb is not None]
    return Sample(sum(part.seconds for part in parts), max(memory, default=None))


def _run(stage: Sequence[Command], timeout: float) -> tuple[float | None, str]:
    with contextlib.ExitStack() as stack:
        running: list[tuple[Command, subprocess.Popen[bytes], Path]] = []
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drivetrain-benchmark-")))
        stack.callback(_end, running)
        output = folder / "output"
        for command in stage:
            if command.output_to is None:
                running.append(_start(command, folder / f"{len(running)}.said", output))
            else:
                writer = _start(command, folder / f"{len(running)}.said", subprocess.PIPE)
                running.append(writer)
                running.append(_start(command.output_to, folder / f"{len(running)}.said", output, writer[1].stdout))
                assert writer[1].stdout is not None
                writer[1].stdout.close()
        watch = stack.enter_context(_Watch([process.pid for _, process, _ in running]))
        deadline = time.monotonic() + timeout
        waiting = list(running)
        while waiting:
            for entry in list(waiting):
                command, process, said = entry
                with contextlib.suppress(subprocess.TimeoutExpired):
                    # One process alone is waited for without polling: its end is seen at once.
                    process.wait(timeout if len(waiting) == 1 else 0.01)
                    waiting.remove(entry)
                    if process.returncode != 0:
                        raise BenchmarkError(
                            f"{Path(command.arguments[0]).name} ended with {process.returncode}: {_tail(said)}"
                        )
            if time.monotonic() > deadline:
                raise BenchmarkError(
                    f"Not done after {timeout:g} s: {', '.join(c.arguments[0] for c, _, _ in waiting)}"
                )
        lines = output.read_text(errors="replace").strip().splitlines() if output.exists() else []
        return watch.peak_mb, lines[-1] if lines else ""


def _start(
    command: Command, said: Path, output: Path | int, source: object = subprocess.DEVNULL
) -> tuple[Command, subprocess.Popen[bytes], Path]:
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(said.open("wb"))
        process = subprocess.Popen(
            list(command.arguments),
            env=dict(command.environment),
            cwd=command.directory,
            stdin=source,  # type: ignore[arg-type]
            stdout=stack.enter_context(output.open("ab")) if isinstance(output, Path) else output,
            stderr=errors,
        )
    return command, process, said


def _end(running: Sequence[tuple[Command, subprocess.Popen[bytes], Path]]) -> None:
    for _, process, _ in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def _tail(said: Path) -> str:
    return " / ".join(said.read_text(errors="replace").strip().splitlines()[-5:])[-1500:] or "it said nothing"


class _Watch:
    """Reads the high-water marks of processes and their descendants while its block runs."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = list(pids)
        self._marks: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def peak_mb(self) -> float | None:
        """The sum of all marks; None where the system has no ``/proc``."""
        return sum(self._marks.values()) / 1024 if self._marks else None

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            for pid in self._pids:
                self._look(pid)
            if self._ended.wait(_EVERY):
                return

    def _look(self, pid: int) -> None:
        place = Path("/proc") / str(pid)
        with contextlib.suppress(OSError, ValueError):
            for line in (place / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self._marks[pid] = int(line.split()[1])
                    break
            for task in (place / "task").iterdir():
                for child in (task / "children").read_text().split():
                    self._look(int(child))
