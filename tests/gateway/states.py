"""A gateway's state as its Reporter makes it, for tests of those who look at it: well, unless told otherwise."""

import copy
from typing import Any

NOW_S = 1_721_001_600
DEVICE = "ab" * 16
METER: dict[str, Any] = {
    "device": "cc" * 16,
    "state": "ok",
    "silent_because": None,
    "doubted_because": None,
    "meaning": None,
    "last_s": NOW_S - 300,
    "taken": 7,
    "missed": 1,
    "backoff_s": 0.0,
    "failures": {},
    "doubts": {},
}
WELL: dict[str, Any] = {
    "state": "up",
    "id": "aa" * 16,
    "commune": "tests",
    "civil_s": NOW_S,
    "clock": "trusted",
    "clock_jumps": {"count": 0, "last_s": None},
    "broker": {"local": True, "upstream": True},
    "registry": {"log_size": 5, "devices": 2},
    "readings": {"taken": 7},
    "time": {"answered": 3, "unanswered": 0, "refused": 0},
    "blocks": {
        "received": 12,
        "accepted": 10,
        "duplicate": 2,
        "refused": {},
        "unknown_aside": 0,
        "unknown_dropped": 0,
        "bad_topic": 0,
        "turned_away": 0,
        "inbox_dropped": 0,
        "own_meters": 4,
    },
    "spool": {
        "blocks": 3,
        "waiting": 2,
        "bytes": 40_960,
        "bytes_max": 1 << 30,
        "disk_free_bytes": 20 << 30,
        "oldest_age_s": 20,
        "expired": 0,
        "readings_dropped": 0,
        "refused_upstream": {},
    },
    "batches": {"sent": 5, "resent": 1, "receipted": 4, "in_flight": 1},
    "ignored": {},
    "commands": {"pending": 2, "handed_over": 4, "obeyed": 2, "expired": 0, "pushed_out": 0, "refused": {}},
    "claims": {"kept": 0, "refused": {}, "unadmitted": []},
    "requests": {
        "log_size": 7,
        "now": None,
        "until_s": None,
        "windows": [{"start_s": NOW_S + 7200, "end_s": NOW_S + 9000, "kind": "peak"}],
        "handed_over": 3,
        "devices": 2,
        "waiting": 0,
    },
    "updates": None,
    "devices": {
        "online": 1,
        "offline": 0,
        "ignored": 0,
        "by_device": {DEVICE: {"online": True, "heard_s": NOW_S - 900, "said": {}}},
    },
    "seen": {DEVICE: NOW_S - 120},
    "meters": {"roof": METER},
    "settings": {"mistake": None, "restart_for": []},
}


def state(**changes: Any) -> dict[str, Any]:
    """WELL with some of it changed; `spool__bytes=1` changes what is inside, an empty dict replaces a dict."""
    changed = copy.deepcopy(WELL)
    for path, value in changes.items():
        *outer, last = path.split("__")
        place = changed
        for name in outer:
            place = place[name]
        place[last] = value
    return changed
