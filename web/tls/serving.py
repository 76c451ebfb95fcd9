"""HTTPS for the server of the pages: its context, renewed while it runs, and what its answers say of it."""

import asyncio
import logging
import ssl
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from commonwatt.errors import CommonwattError
from web.settings import WebSettings
from web.tls import authority, files
from web.tls.phone import PhonePage

log = logging.getLogger(__name__)

LOOK_EVERY_S = 3600.0
"""Certificates live for months; whoever renews them needs no signal."""
WARN = timedelta(days=14)
STRICT = "strict-transport-security", "max-age=31536000"
"""A year of HTTPS and nothing else, for hosts with a certificate that everybody knows (RFC 6797)."""


def of(directory: Path, read: WebSettings) -> "Tls | None":
    """What the settings ask for; None: plain HTTP. UserError for files that no browser would believe."""
    if read.local_ca is not None:
        return LocalTls(directory, read.local_ca, read.phone_port)
    if read.tls_cert is not None and read.tls_key is not None:
        return Tls(read.tls_cert, read.tls_key)
    return None


class Tls:
    """A certificate that an operator brings. Looked at again now and then: a renewed file needs no restart."""

    def __init__(self, cert_file: Path, key_file: Path, *, authorities: list[x509.Certificate] | None = None) -> None:
        """`authorities`: whom everybody trusts; none named: whom this machine does."""
        self._files = cert_file, key_file
        pair = files.read(cert_file, key_file, at=_now())
        self._pair, self._stamp = pair, self._changed()
        known = files.authorities_of_system() if authorities is None else authorities
        self._strict = pair.is_known_to(known, at=_now())

    def words(self) -> dict[str, Any]:
        """What uvicorn is told."""

        def context(*_ignored: object) -> ssl.SSLContext:
            return self._pair.context

        return {"ssl_context_factory": context, "headers": [STRICT] if self._strict else []}

    def phone_page(self, _host: str, _port: int) -> AbstractContextManager[PhonePage | None]:
        """None: whoever brought the certificate sees to it that phones know its authority."""
        return nullcontext()

    def renew(self, at: datetime) -> bool:
        """Take up what was renewed; whether it was. What cannot be read is logged, and the old one stays."""
        try:
            stamp = self._changed()
            if stamp == self._stamp:
                if self._pair.ends < at + WARN:
                    log.warning("the certificate of the pages ends on %s and was not renewed", self._pair.ends)
                return False
            renewed = files.read(*self._files, at=at)
            # Into the context that the server has: connections from now on get the new one, the others stay.
            self._pair.context.load_cert_chain(*self._files)
            self._pair = files.Pair(renewed.chain, self._pair.context)
        except (CommonwattError, OSError, ssl.SSLError) as error:
            log.error("the certificate of the pages cannot be renewed: %s", error)
            return False
        self._stamp = stamp
        log.info("the certificate of the pages was renewed, until %s", self._pair.ends)
        return True

    async def renew_for_ever(self) -> None:
        """Look every hour, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(self.renew, _now())

    def _changed(self) -> list[tuple[int, int]]:
        return [(found.st_ino, found.st_mtime_ns) for found in (path.stat() for path in self._files)]


class LocalTls(Tls):
    """A local CA's certificate, which is renewed here, and the page by which phones come to trust it."""

    def __init__(self, directory: Path, folder: Path, phone_port: int) -> None:
        self._directory, self._folder, self._phone_port = directory, folder, phone_port
        self._ca = authority.ensure(folder, (), at=_now())
        # No authority counts as known, even where this machine trusts its own: phones would be locked out with it.
        super().__init__(self._ca.server_file, self._ca.server_file, authorities=[])

    def phone_page(self, host: str, port: int) -> AbstractContextManager[PhonePage | None]:
        """Served while its `with` lasts, on the same interface as the pages."""
        return PhonePage(self._directory, lambda: self._ca, host=host, pages_port=port, phone_port=self._phone_port)

    def renew(self, at: datetime) -> bool:
        """As above, after making it anew if it ends soon."""
        try:
            self._ca = authority.ensure(self._folder, (), at=at)
        except CommonwattError as error:
            log.error("the local CA cannot be renewed: %s", error)
            return False
        if self._ca.is_new:
            log.warning("the local CA ended soon and was made anew: phones must install it again")
        return super().renew(at)


def _now() -> datetime:
    return datetime.now(UTC)
