"""Logs as JSON lines: every record one line that a machine reads."""

import json
import logging
import sys

from commonwatt.json_log import JsonLines


def line(message: object, *values: object, exception: bool = False) -> dict[str, str]:
    information = sys.exc_info() if exception else None
    record = logging.LogRecord("gateway.part", logging.WARNING, __file__, 1, message, values, information)
    record.created = 1_721_001_600.25
    text = JsonLines().format(record)
    assert "\n" not in text
    assert text.isascii()
    return dict(json.loads(text))


def test_line_when_it_is_read() -> None:
    """Time in UTC, level, part, the sentence with its values and without."""
    assert line("meter %s: %d s", "roof", 4) == {
        "time": "2024-07-15T00:00:00.250Z",
        "level": "warning",
        "part": "gateway.part",
        "message": "meter roof: 4 s",
        "event": "meter %s: %d s",
    }


def test_line_when_somebody_else_s_words_are_in_it() -> None:
    """A sender cannot end the line and begin one of its own."""
    told = line("ignored %s", 'x"}\n{"level": "info", "message": "all is well"} é\x1b[31m')
    assert told["message"].endswith("é\x1b[31m")


def test_line_when_there_was_an_exception() -> None:
    """The traceback stays in the line."""
    try:
        raise ValueError("of this\nkind")
    except ValueError:
        told = line("it failed", exception=True)
    assert told["exception"].endswith("ValueError: of this\nkind")
