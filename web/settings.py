"""The settings of the pages: DIR/web.toml, which need not be there. Relative paths start at its own directory."""

from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from commonwatt import settings

FILE = "web.toml"
PATHS = ("tls_cert", "tls_key", "local_ca")


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

    @model_validator(mode="after")
    def _one_certificate(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if self.tls_cert is not None and self.local_ca is not None:
            raise ValueError("either tls_cert and tls_key, or local_ca")
        return self


def load(directory: Path, told: dict[str, Any] | None = None) -> WebSettings:
    """Read DIR/web.toml; what was `told` on the command line overrides it. UserError names the mistake."""
    path = directory / FILE
    table = settings.read_toml(path) if path.exists() else {}
    read = settings.validate(WebSettings, table, where=path)
    below = {name: directory / file for name in PATHS if (file := getattr(read, name)) is not None}
    if not told:
        return read.model_copy(update=below)
    if told.keys() & PATHS:  # another certificate: what the file says of it is not meant
        table = {name: value for name, value in table.items() if name not in PATHS}
        below = {}
    return settings.validate(WebSettings, table | below | told, where="web run")
