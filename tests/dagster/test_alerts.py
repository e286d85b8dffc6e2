"""Alerts by mail, against a mail server that speaks just enough SMTP."""

import socketserver
import threading
from collections.abc import Iterator

import pytest

from resources.alerts import Alerts
from warehouse.errors import ConfigurationError


class Mailbox(socketserver.TCPServer):
    """Takes every mail; ``mails`` are (recipients, text)."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        super().__init__(("127.0.0.1", 0), Conversation)


class Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        recipients: list[str] = []
        self.say("220 ready")
        while line := self.rfile.readline().decode().strip():
            command = line.split()[0].upper()
            if command == "RCPT":
                recipients.append(line)
            if command == "DATA":
                self.say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                self.server.mails.append((recipients, "\n".join(lines)))  # type: ignore[attr-defined]
            self.say("221 bye" if command == "QUIT" else "250 ok")
            if command == "QUIT":
                return

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_alert_is_mailed(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVETRAIN_ALERT_EMAIL", "team@example.org")
    monkeypatch.setenv("DRIVETRAIN_SMTP_HOST", f"127.0.0.1:{mailbox.server_address[1]}")
    assert Alerts().send("daily failed", "raw_shop/orders: the source has no table") == ["email"]
    ((recipients, text),) = mailbox.mails
    assert [line.lower() for line in recipients] == ["rcpt to:<team@example.org>"]  # the case depends on Python
    assert "Subject: [Drivetrain] daily failed" in text
    assert "the source has no table" in text


def test_a_mail_server_that_is_away_is_logged(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DRIVETRAIN_ALERT_EMAIL", "team@example.org")
    monkeypatch.setenv("DRIVETRAIN_SMTP_HOST", "127.0.0.1:9")
    assert Alerts(timeout_seconds=1).send("subject", "body") == []
    assert "not delivered by e-mail" in caplog.text
    assert mailbox.mails == []


def test_an_address_without_a_server_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVETRAIN_ALERT_EMAIL", "team@example.org")
    monkeypatch.delenv("DRIVETRAIN_SMTP_HOST", raising=False)
    with pytest.raises(ConfigurationError, match="DRIVETRAIN_SMTP_HOST"):
        Alerts().send("subject", "body")
