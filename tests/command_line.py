"""The command in processes of its own, on a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DRIVETRAIN = str(Path(sys.executable).with_name("drivetrain"))


@dataclass(frozen=True)
class CommandLine:
    """``drivetrain`` with a home of its own, and settings besides."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DRIVETRAIN_", "DAGSTER_"))}
        real = os.environ.get("DRIVETRAIN_REAL_DATA")
        real_data = {"DRIVETRAIN_REAL_DATA": real} if real else {}
        return {**kept, "DRIVETRAIN_HOME": str(self.home), **real_data, **self.settings}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [DRIVETRAIN, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [DRIVETRAIN, *arguments], env=self.environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def processes(self) -> list[str]:
        """Command lines of living processes that belong to this home."""
        found: list[str] = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            mine = str(self.home) in command or f"DRIVETRAIN_HOME={self.home}".encode() in environment
            if mine and int(entry.name) != os.getpid():
                found.append(command)
        return found

    def wait_until_quiet(self, seconds: float = 20) -> None:
        """Until no process of this home is left."""
        deadline = time.monotonic() + seconds
        while left := self.processes():
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(0.2)
