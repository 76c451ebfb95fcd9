"""A point and its line of line protocol (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/).

    energy_15m,commune=demo,level=feeder,place=mill\\ street demand_wh=4310i,sites=20i 1721599200

Names are people's: they may hold spaces, quotes, line breaks or pictures. What a line cannot hold is made a space, so
that one name is one series everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from influxdb_client.client.write.point import Point as _Line
from influxdb_client.domain.write_precision import WritePrecision

from aggregator.telemetry.measurements import COMMUNE

NAMELESS = "-"
"""The value of a tag that would be empty: a line cannot hold an empty one."""
TAG_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Point:
    """One point at a civil second. `fields`: integers, and texts; `tags` besides the commune."""

    measurement: str
    time_s: int
    fields: Mapping[str, int | str]
    tags: Mapping[str, str] = field(default_factory=dict)

    def line(self, commune: str) -> str:
        """As it is written."""
        tags = {name: clean(value) for name, value in {**self.tags, COMMUNE: commune}.items()}
        fields = {name: clean(value) if isinstance(value, str) else value for name, value in self.fields.items()}
        row = {"measurement": self.measurement, "tags": tags, "fields": fields, "time": self.time_s}
        precision: Any = WritePrecision.S
        return str(_Line.from_dict(row, precision).to_line_protocol())


def clean(text: str) -> str:
    """A name without what would break a line: control characters, and a backslash at its end, which would take the
    comma after it along."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).split(" ")
    return " ".join(word for word in words if word)[:TAG_LENGTH_MAX].rstrip("\\ ") or NAMELESS
