"""Where alerts go: a webhook, a mailbox, or only the log where neither is configured."""

from __future__ import annotations

import json
import logging
import smtplib
import urllib.error
import urllib.request
from email.message import EmailMessage

import dagster as dg

from resources.settings import Settings
from warehouse.errors import ConfigurationError

log = logging.getLogger(__name__)


class Alerts(dg.ConfigurableResource[object]):
    """Send one alert to every configured place. A place that fails is logged and does not stop the others."""

    timeout_seconds: float = 10.0

    def send(self, subject: str, body: str) -> list[str]:
        """Send an alert.

        Args:
            subject: one line.
            body: plain text, without secrets or personal data.

        Returns:
            The kinds of places that took it: ``webhook``, ``email``.
        """
        settings = Settings.load()
        log.warning("alert: %s", subject)
        taken: list[str] = []
        if webhook := settings.get("ALERT_WEBHOOK"):
            try:
                self._post(webhook, subject, body)
                taken.append("webhook")
            except (urllib.error.URLError, OSError) as error:
                log.error("alert not delivered by webhook: %s", type(error).__name__)
        if address := settings.get("ALERT_EMAIL"):
            host = settings.get("SMTP_HOST")
            if host is None:
                raise ConfigurationError("DRIVETRAIN_ALERT_EMAIL is set without DRIVETRAIN_SMTP_HOST", hint="Set both.")
            try:
                self._mail(host, address, subject, body)
                taken.append("email")
            except (smtplib.SMTPException, OSError) as error:
                log.error("alert not delivered by e-mail: %s", type(error).__name__)
        return taken

    def _post(self, url: str, subject: str, body: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError("DRIVETRAIN_ALERT_WEBHOOK is no http(s) address")
        content = json.dumps({"text": f"{subject}\n{body}", "subject": subject, "body": body}).encode()
        request = urllib.request.Request(url, content, {"Content-Type": "application/json"})  # noqa: S310 (checked above)
        with urllib.request.urlopen(request, timeout=self.timeout_seconds) as answer:  # noqa: S310
            answer.read()

    def _mail(self, host: str, address: str, subject: str, body: str) -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = f"[Drivetrain] {subject}", address, address
        message.set_content(body)
        name, _, port = host.partition(":")
        with smtplib.SMTP(name, int(port or 25), timeout=self.timeout_seconds) as server:
            server.send_message(message)
