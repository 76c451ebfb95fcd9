"""A mailbox of tests: a real SMTP server (aiosmtpd) that keeps what it takes."""

import email
import email.policy
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mailbox:
    """What the server took, and what it answers: to a recipient, and to a letter's data."""

    port: int
    options: dict[str, Any]
    taken: list[EmailMessage] = field(default_factory=list)
    to_recipient: str = "250 OK"
    to_data: str = "250 OK"

    def start(self) -> None:
        """Let it be there."""
        self._running = Controller(self, hostname="127.0.0.1", port=self.port, **self.options)
        self._running.start()

    def stop(self) -> None:
        """Let it be away."""
        self._running.stop()

    def settings(self, url: str) -> dict[str, Any]:
        """Of pages that send their letters here."""
        where = {"mail_host": "127.0.0.1", "mail_port": self.port, "mail_tls": "none"}
        return {**where, "mail_from": "hello@energy.example", "public_url": url}

    def newest_link(self) -> str:
        """The path of the link in the newest letter."""
        found = re.search(r"https?://[^/\s]+(/\S+)", str(self.taken[-1].get_content()))
        assert found is not None
        return found[1]

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 aiosmtpd's name
        """Somebody is to get a letter."""
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 aiosmtpd's name
        """The letter."""
        if self.to_data.startswith("250"):
            self.taken.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return self.to_data


@contextmanager
def serving_mail(**options: Any) -> Iterator[Mailbox]:
    """On a free port; `options`: of aiosmtpd."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    mailbox = Mailbox(port, options)
    mailbox.start()
    try:
        yield mailbox
    finally:
        mailbox.stop()
