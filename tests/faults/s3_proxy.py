"""Between a client of S3 and its server: passes everything on, and lets happen what networks and stores let happen.

Runs as a process of its own (``python s3_proxy.py PORT_OF_THE_SERVER``) and prints its port: deltalake keeps the
interpreter while it asks. A fault is posted to ``/-/fault`` as JSON and stays until the next; ``/-/seen`` says how
often it happened.

What does not belong here: which fault when (the tests).
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

#: What a client sends for the next server only, and what of an answer is of one connection only.
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


@dataclass(frozen=True)
class Fault:
    """What happens to some requests.

    Attributes:
        kind: answer: the server is not asked, ``status`` and ``code`` are the answer. reset: the connection breaks in
            the middle of the body. lose: the server does it, and the connection breaks before its answer. slow: it
            takes ``seconds`` longer. none: nothing.
        method, path: of which requests, as regular expressions.
        every: each so manieth of them.
        after: not before so many of them.
        times: so often at most.
        status, code: of an answer.
        seconds: of a slow one.
    """

    kind: Literal["none", "answer", "reset", "lose", "slow"] = "none"
    method: str = "PUT"
    path: str = ""
    every: int = 1
    after: int = 0
    times: int = 10**9
    status: int = 503
    code: str = "SlowDown"
    seconds: float = 0


class Proxy:
    """A running one, as a test has it.

    Attributes:
        options: how a ``Store`` reaches the server through it.
    """

    def __init__(self, port: int, options: Mapping[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.options = {**options, "AWS_ENDPOINT_URL": self.url}

    def let(self, fault: Fault = Fault()) -> None:
        """From now on this happens, and nothing else."""
        body = json.dumps(asdict(fault)).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/-/fault", data=body), timeout=60).read()

    @property
    def seen(self) -> int:
        """How often the fault happened."""
        return int(urllib.request.urlopen(f"{self.url}/-/seen", timeout=60).read())


@contextlib.contextmanager
def proxy(options: Mapping[str, str]) -> Generator[Proxy]:
    """One that lives as long as the block.

    Args:
        options: of the server behind it, as ``Store.options``.
    """
    behind = str(urlsplit(options["AWS_ENDPOINT_URL"]).port)
    with subprocess.Popen([sys.executable, __file__, behind], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Proxy(int(process.stdout.readline()), options)
        finally:
            process.kill()


class _State:
    """The fault, and how many requests it was about."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.fault, self.asked, self.seen = Fault(), 0, 0

    def happens(self, method: str, path: str) -> Fault | None:
        with self.lock:
            fault = self.fault
            if fault.kind == "none" or not re.fullmatch(fault.method, method) or not re.search(fault.path, path):
                return None
            self.asked += 1
            due = self.asked > fault.after and self.asked % fault.every == 0 and self.seen < fault.times
            self.seen += due
            return fault if due else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: _State
    behind: int

    def _any(self) -> None:
        if self.path.startswith("/-/"):
            self._control()
            return
        fault = self.state.happens(self.command, self.path)
        if fault is not None and fault.kind == "reset":
            self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
            self._break()
            return
        body = self._body()
        if fault is not None and fault.kind == "answer":
            said = f"<?xml version='1.0'?><Error><Code>{fault.code}</Code><Message>{fault.code}</Message></Error>"
            self._send(fault.status, [("Content-Type", "application/xml")], said.encode())
            return
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        server = HTTPConnection("127.0.0.1", self.behind, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}
        if body or "Content-Length" in self.headers:
            headers["Content-Length"] = str(len(body))
        server.request(self.command, self.path, body, headers)
        with server.getresponse() as answer:
            content = answer.read()
            if fault is not None and fault.kind == "lose":
                self._break()
                return
            self._pass_on(answer, content)
        server.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _pass_on(self, answer: HTTPResponse, content: bytes) -> None:
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OF_ONE_HOP]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self._send(answer.status, headers, content, length)

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes, length: str | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _break(self) -> None:
        """The client reads that the connection was reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _control(self) -> None:
        body = self._body()
        with self.state.lock:
            if self.path == "/-/fault":
                self.state.fault, self.state.asked, self.state.seen = Fault(**json.loads(body)), 0, 0
            seen = self.state.seen
        self._send(200, [], str(seen).encode())

    def log_message(self, *_: object) -> None:
        """Nothing is logged: requests carry signatures."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that goes away is none."""


def _serve(behind: int) -> None:
    _Handler.state, _Handler.behind = _State(), behind
    server = _Server(("127.0.0.1", 0), _Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
