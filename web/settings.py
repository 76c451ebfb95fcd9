"""The settings of the pages: DIR/web.toml, which need not be there. Relative paths start at its own directory."""

from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from commonwatt import settings

FILE = "web.toml"
PATHS = ("tls_cert", "tls_key", "local_ca")
FILES = (*PATHS, "mail_password_file")
MAIL_HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts to which a password may go without TLS: it does not leave the machine."""


class WebSettings(settings.Settings):
    """What may differ from one commune to the next, whether the aggregator serves its pages or `web run` does."""

    zone: ZoneInfo = Field(
        default=ZoneInfo("Europe/Paris"),
        description="where days begin: a day on a page is the reader's day, not the log's",
    )
    requests_per_s: float = Field(
        default=20.0,
        ge=0.1,
        description="of one client address in the long run, 60 at once: nobody can keep others from reading",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="PEM file of the server's certificate and those between it and a known authority: HTTPS; "
        "a renewed file is taken up within the hour",
    )
    tls_key: Path | None = Field(default=None, description="PEM file of that certificate's key, without a password")
    local_ca: Path | None = Field(
        default=None,
        description="folder of a local CA (`commonwatt web ca`) instead: for a demo, a pilot, a town hall's network",
    )
    phone_port: int = Field(
        default=8681,
        ge=0,
        le=65_535,
        description="with a local CA, where phones fetch it by plain HTTP: they trust nothing yet; 0: a free one",
    )
    grafana_url: str = Field(
        default="",
        description="where the operator's dashboards are, as in `https://grafana.example.fr/d/operator`: `/grid` "
        "leads there; none: it does not",
        pattern=r"^(https?://[^\s\"'<>]+)?$",
    )
    public_url: str = Field(
        default="",
        description="where browsers reach the pages, as in `https://energy.example.fr`: links in e-mails lead there, "
        "and passkeys belong to its host; without it passkeys belong to the host that a browser asked for",
    )
    mail_host: str = Field(
        default="", description="SMTP server that takes our e-mails; without it nobody signs in by e-mail"
    )
    mail_port: int = Field(default=587, ge=1, le=65_535, description="its port: usually 587, or 465 for `tls`")
    mail_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="how the line to it is kept secret; `none` for a server on this machine"
    )
    mail_user: str = Field(default="", description="the name to sign in with there; none: without signing in")
    mail_password_file: Path | None = Field(
        default=None, description="file with that name's password and nothing else, readable by us only"
    )
    mail_from: str = Field(
        default="", description="the address our e-mails come from; people answer to it, so let somebody read it"
    )

    push_hosts: tuple[str, ...] = Field(
        default=("fcm.googleapis.com", ".push.services.mozilla.com", ".push.apple.com", ".notify.windows.com"),
        description="push services of browsers' makers that notices may be handed to; `.example` is every host below "
        "it; empty: nobody is told at once",
    )

    @model_validator(mode="after")
    def _one_certificate(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if self.tls_cert is not None and self.local_ca is not None:
            raise ValueError("either tls_cert and tls_key, or local_ca")
        return self

    @model_validator(mode="after")
    def _whole_mail(self) -> Self:
        if self.public_url:
            parts = urlsplit(self.public_url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
                raise ValueError("public_url is https://HOST or http://HOST:PORT, and nothing after it")
        if self.mail_host and not (self.mail_from and self.public_url):
            raise ValueError("mail_host wants mail_from, and public_url: links in e-mails lead there")
        if (not self.mail_user) != (self.mail_password_file is None):
            raise ValueError("mail_user and mail_password_file go together")
        if self.mail_user and self.mail_tls == "none" and self.mail_host not in MAIL_HERE:
            raise ValueError("mail_tls: a password is sent to another machine by starttls or tls only")
        return self


def load(directory: Path, told: dict[str, Any] | None = None) -> WebSettings:
    """Read DIR/web.toml; what was `told` on the command line overrides it. UserError names the mistake."""
    path = directory / FILE
    table = settings.read_toml(path) if path.exists() else {}
    read = settings.validate(WebSettings, table, where=path)
    below = {name: directory / file for name in FILES if (file := getattr(read, name)) is not None}
    if not told:
        return read.model_copy(update=below)
    if told.keys() & PATHS:  # another certificate: what the file says of it is not meant
        table = {name: value for name, value in table.items() if name not in PATHS}
        below = {}
    return settings.validate(WebSettings, table | below | told, where="web run")
