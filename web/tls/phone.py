"""The page by which a phone comes to trust a local CA: plain HTTP, since the phone trusts nothing of ours yet.

Whoever sits in the same network could answer in its place, so it shows the CA's fingerprint, which the operator's
screen shows too; and the CA is constrained to private networks, so that a wrong one opens no bank.
"""

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.serialization import Encoding

from commonwatt.bounded_http import Answer, Pages
from commonwatt.i18n import LANGUAGES, _, preferred
from web import qr
from web.facts import Facts
from web.looks import HERE, Looks
from web.manners import SECURITY
from web.tls.authority import LOOPBACK, LocalCa

CERTIFICATE = "/commonwatt-ca.crt"
_STATIC = {"/static/style.css": "text/css; charset=utf-8", "/static/icon.svg": "image/svg+xml"}


class PhonePage:
    """Serves the page while its `with` lasts. `ca`: the CA as it stands when somebody asks. `host`: where the pages
    listen; `phone_port`: 0 for a free one."""

    def __init__(
        self, directory: Path, ca: Callable[[], LocalCa], *, host: str, pages_port: int, phone_port: int
    ) -> None:
        facts = Facts.read(directory)
        self._title = facts.title
        self._ca, self._pages_port = ca, pages_port
        self._looks = Looks(ZoneInfo("UTC"), facts)
        self._pages = Pages(
            (host, phone_port),
            self._answer,
            headers=SECURITY,
            name="phone-page",
            to_do=_("choose another phone_port, or 0 for a free one"),
        )

    @property
    def url(self) -> str:
        """What a phone opens."""
        return f"http://{_in_url(seen_host(self._ca()))}:{self._pages.port}/"

    def __enter__(self) -> Self:
        self._pages.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._pages.__exit__(*exception)

    def _answer(self, path: str, accept_language: str) -> Answer | None:
        if path == CERTIFICATE:
            return Answer("application/x-x509-ca-cert", self._ca().authority.public_bytes(Encoding.DER))
        if path in _STATIC:
            return Answer(_STATIC[path], (HERE / path.lstrip("/")).read_bytes())
        language = path.lstrip("/") or preferred(accept_language)
        if language not in LANGUAGES:
            return None
        page = self._looks.page("phone.html", language, lambda _words: self._values(), path)
        return Answer("text/html; charset=utf-8", page.encode())

    def _values(self) -> dict[str, Any]:
        ca = self._ca()
        return {
            "title": self._title,
            "url": self.url,
            "qr": qr.svg(self.url),
            "certificate": CERTIFICATE,
            "fingerprint": ca.fingerprint,
            "pages_url": f"https://{_in_url(seen_host(ca))}:{self._pages_port}/",
        }


def seen_host(ca: LocalCa) -> str:
    """Under which of its names the server is reached from elsewhere: the first that is not its own loopback."""
    return next((host for host in ca.server.hosts if host not in LOOPBACK), ca.server.hosts[0])


def _in_url(host: str) -> str:
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host
