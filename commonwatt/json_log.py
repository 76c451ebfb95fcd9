"""Logs for machines: one JSON object a line, for journald's readers, Loki or jq.

    {"time": "2026-03-01T12:00:00.123Z", "level": "warning", "part": "gateway.meters.polling",
     "message": "meter roof: no-answer; left alone for 4 s", "event": "meter %s: %s; left alone for %.0f s"}

`event` is the sentence before its values were put in: the same for all that is alike, so it can be counted.
`exception` holds a traceback where there is one.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any


class JsonLines(logging.Formatter):
    """Formats a record as above; line ends inside a message are escaped, so a line is a record."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of ASCII, without its end."""
        time = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "part": record.name,
            "message": record.getMessage(),
            "event": str(record.msg),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
