"""The InfluxDB that a data source reads: named by the URL of a server without accounts, or by a TOML file."""

from pathlib import Path

from pydantic import Field

from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.settings import Settings, load, validate

BUCKET = "commonwatt"
"""Where the demo and the compose file put points."""


class InfluxSource(Settings):
    """How Grafana reads the points. The aggregator's own file fits too, but a token that only reads is better."""

    url: str = Field(pattern=r"^https?://")
    """The server as Grafana reaches it, http:// or https://."""
    bucket: str = BUCKET
    """Where the points are; of InfluxDB 1 the database."""
    token: str = Field(default="", repr=False)
    """A token that may read this bucket; empty for a server without accounts."""
    org: str = ""
    """Not needed for reading."""


def named(text: str) -> InfluxSource:
    """The source that a person named: http://HOST:PORT, or a TOML file. UserError if it is neither."""
    if text.startswith(("http://", "https://")):
        return validate(InfluxSource, {"url": text}, where="--influx")
    if not Path(text).exists():
        raise UserError(
            _("there is no such file, and it is no URL"), where=text, to_do=_("http://HOST:8086, or a TOML file")
        )
    return load(InfluxSource, Path(text))
