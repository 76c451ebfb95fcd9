"""Sends letters over SMTP (RFC 5321), by the standard library."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol

from commonwatt.errors import UserError
from commonwatt.i18n import _
from web.mail.letters import Letter, Waiting
from web.settings import WebSettings

ANSWER_S_MAX = 20.0
"""How long the server may take for one answer, in wall time."""
REFUSED = 500
"""From this answer on the server means: never (RFC 5321 §4.2.1)."""


class NotSent(Exception):  # noqa: N818 it is an outcome
    """`is_final`: this letter will never be taken. The message names no address."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        self.is_final = is_final
        super().__init__(why)


class Line(Protocol):
    """An open connection."""

    def send(self, waiting: Waiting) -> None:
        """NotSent if the server does not take it."""
        ...


@dataclass(frozen=True, slots=True)
class Smtp:
    """The server of `web.toml`. `name`: who writes; `password`: for `mail_user`."""

    read: WebSettings
    name: str
    password: str

    @classmethod
    def of(cls, read: WebSettings, name: str) -> "Smtp | None":
        """None where no server is named; UserError if its password cannot be read."""
        if not read.mail_host:
            return None
        path = read.mail_password_file
        try:
            password = path.read_text(encoding="utf-8").strip() if path else ""
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                _("the password for e-mail cannot be read: {error}").format(error=error),
                where=path,
                to_do=_("write it there, readable by us only, or take mail_user out of web.toml"),
            ) from error
        return cls(read, name, password)

    @contextmanager
    def line(self) -> Iterator[Line]:
        """Connect, and sign in if the settings say so. NotSent if that fails."""
        read = self.read
        try:
            connection = self._connect()
            with connection:
                if read.mail_tls == "starttls":
                    connection.starttls(context=ssl.create_default_context())
                if read.mail_user:
                    connection.login(read.mail_user, self.password)
                yield _Line(connection, self)
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(_words(error)) from error

    def _connect(self) -> smtplib.SMTP:
        where = (self.read.mail_host, self.read.mail_port)
        if self.read.mail_tls == "tls":
            return smtplib.SMTP_SSL(*where, timeout=ANSWER_S_MAX, context=ssl.create_default_context())
        return smtplib.SMTP(*where, timeout=ANSWER_S_MAX)

    def message(self, waiting: Waiting) -> EmailMessage:
        """The letter as it is sent: each time the same, so that a server that got it twice can see it."""
        letter: Letter = waiting.letter
        made = EmailMessage()
        made["From"] = Address(self.name, addr_spec=self.read.mail_from)
        made["To"] = Address(addr_spec=letter.recipient)
        made["Subject"] = letter.subject
        made["Date"] = format_datetime(datetime.fromtimestamp(waiting.created_s, UTC))
        made["Message-ID"] = f"<{waiting.number}.{waiting.created_s}@{self.read.mail_from.partition('@')[2]}>"
        made["Auto-Submitted"] = "auto-generated"
        if letter.unsubscribe_url:
            made["List-Unsubscribe"] = f"<{letter.unsubscribe_url}>"
        made.set_content(letter.text, cte="quoted-printable")
        return made


class _Line:
    def __init__(self, connection: smtplib.SMTP, smtp: Smtp) -> None:
        self._connection, self._smtp = connection, smtp

    def send(self, waiting: Waiting) -> None:
        try:
            message = self._smtp.message(waiting)
        except (ValueError, IndexError, UnicodeError) as error:
            raise NotSent(_words(error), is_final=True) from error
        try:
            self._connection.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _text in error.recipients.values()]
            raise NotSent(f"recipient refused {codes}", is_final=min(codes) >= REFUSED) from error
        except smtplib.SMTPDataError as error:
            raise NotSent(_words(error), is_final=error.smtp_code >= REFUSED) from error
        except smtplib.SMTPNotSupportedError as error:
            raise NotSent(_words(error), is_final=True) from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(_words(error)) from error


def _words(error: Exception) -> str:
    """What failed, without the server's sentence: it may repeat an address, and the log names nobody."""
    code = getattr(error, "smtp_code", None) or getattr(error, "errno", None)
    return f"{type(error).__name__}{f' {code}' if code else ''}"
