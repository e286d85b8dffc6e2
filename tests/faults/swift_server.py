"""OpenStack Swift with its S3 door, from the package index: a real server for what `moto` would only pretend.

It has an environment of its own, made once from ``swift/requirements.lock`` in the cache of ``DRIVETRAIN_HOME``: none
of it is the project's. Four processes on loopback, one replica on one folder, run by whoever runs the tests.

What does not belong here: faults (``s3_proxy``), and what the tests keep in it.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from resources.settings import Settings

LOCK = Path(__file__).with_name("swift") / "requirements.lock"
#: Bytes of extended attributes that Swift keeps with an object.
_METADATA = 3000
ACCESS, SECRET = "test:tester", "a-secret-of-tests"

_RINGS = """
import sys
from swift.common.ring import RingBuilder
for kind, port in zip(("account", "container", "object"), map(int, sys.argv[2:])):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": "127.0.0.1", "port": port, "device": "disk"})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{kind}.ring.gz")
"""
_START = """
import sys
from swift.common.wsgi import run_wsgi
sys.exit(run_wsgi(sys.argv[1], sys.argv[2], verbose=True))
"""

#: A store's listing is told of an object before the client is, else a list might lack it; time is no fault here.
_STORE = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}
mount_check = false
workers = 0
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
container_update_timeout = 60
node_timeout = 60
"""
_PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
workers = 0
[pipeline:main]
pipeline = catch_errors proxy-logging s3api tempauth slo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
error_suppression_limit = 1000000
node_timeout = 60
conn_timeout = 10
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:slo]
use = egg:swift#slo
"""


@contextmanager
def swift() -> Generator[Mapping[str, str]]:
    """A server that lives as long as the block.

    Yields:
        How it is reached, as ``Store.options`` take it.
    """
    python = _environment()
    with tempfile.TemporaryDirectory(prefix="drivetrain-swift-") as made, ExitStack() as started:
        folder = Path(made)
        (folder / "disk").mkdir()
        _need_attributes(folder)
        (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n")
        ports = dict(zip(("account", "container", "object", "proxy"), _free_ports(4), strict=True))
        subprocess.run(
            [python, "-W", "ignore", "-c", _RINGS, folder, *(str(ports[kind]) for kind in list(ports)[:3])],
            check=True, capture_output=True, env=_its_own(folder),
        )  # fmt: skip
        processes: dict[str, subprocess.Popen[bytes]] = {}
        for kind, port in ports.items():
            text = (_PROXY if kind == "proxy" else _STORE).format(
                kind=kind, port=port, user=getpass.getuser(), folder=folder, secret=SECRET
            )
            place = folder / f"{kind}.conf"
            place.write_text(text)
            log = started.enter_context((folder / f"{kind}.log").open("wb"))
            command = [python, "-W", "ignore", "-c", _START, place, f"{kind}-server"]
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=_its_own(folder))
            started.callback(_end, process)
            processes[kind] = process
        _await(ports, processes, folder)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['proxy']}", "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET,
        }  # fmt: skip


def _its_own(folder: Path) -> dict[str, str]:
    """The environment of its processes: it looks for its settings in a folder of the system's unless told."""
    return {**os.environ, "SWIFT_CONF_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def _environment() -> Path:
    """Its Python, installed if it is not: exact versions and hashes, nothing resolved and nothing built."""
    told = f"{sys.version_info[:2]} {LOCK.read_text()}"
    cache = Settings.load().folder("cache")
    place = cache / f"swift-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    with (cache / "swift.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of other processes with tests of their own
        if not (place / "installed").exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            install = ["install", "--disable-pip-version-check", "--quiet", "--no-deps", "--only-binary", ":all:"]
            pip = [place / "bin" / "python", "-m", "pip", *install, "--require-hashes", "-r", LOCK]
            subprocess.run(pip, check=True, stderr=subprocess.STDOUT)
            (place / "installed").touch()
    return place / "bin" / "python"


def _need_attributes(folder: Path) -> None:
    """Fail where Swift could not keep an object's metadata, and say so: it would answer 507 to everything."""
    try:
        os.setxattr(folder, "user.drivetrain", b"x" * _METADATA)
    except OSError as error:
        raise RuntimeError(
            f"{folder}: its file system keeps no extended attributes of {_METADATA} bytes ({error.strerror}), which "
            "Swift needs: set TMPDIR to a folder of ext4, xfs or the like"
        ) from error
    os.removexattr(folder, "user.drivetrain")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _await(ports: Mapping[str, int], processes: Mapping[str, subprocess.Popen[bytes]], folder: Path) -> None:
    """All answer, or one ended."""
    deadline = time.monotonic() + 60
    for kind, port in ports.items():
        while not _answers(port):
            ended, late = processes[kind].poll() is not None, time.monotonic() > deadline
            if ended or late:
                said = (folder / f"{kind}.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"Swift's {kind} server {'ended' if ended else 'does not answer'}:\n{said}")
            time.sleep(0.1)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
    except urllib.error.HTTPError:
        return True  # it says that this is nothing to ask for
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
