"""Where browsers reach the pages, and whom passkeys belong to there."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Address:
    """`public_url`: of web.toml, or ""."""

    public_url: str = ""

    def url(self, request: Request) -> str:
        """What addresses of these pages begin with, without a slash at the end."""
        return self.public_url or str(request.base_url).rstrip("/")

    def passkey_host(self, request: Request) -> str | None:
        """The host that passkeys belong to (WebAuthn: RP ID); None: it is an IP address, which can have none, or the
        pages were reached under another name than `public_url`."""
        host = urlsplit(self.url(request)).hostname or ""
        if request.url.hostname != host:
            return None
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host or None
        return None
