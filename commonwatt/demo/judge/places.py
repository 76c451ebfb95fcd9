"""Where sites lie, from the commune's private store: which feeder each hangs on."""

import json
import sqlite3
from pathlib import Path
from typing import Any


def read_feeders(path: Path) -> dict[bytes, bytes]:
    """Feeders by site, where they are known; nothing if there is no store. A dwelling's own counts before its
    building's."""
    if not path.exists():
        return {}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT subject, attributes FROM record ORDER BY number").fetchall()
        sites = database.execute("SELECT id FROM subject WHERE kind = 'sites'").fetchall()
    database.close()
    facts: dict[bytes, Any] = {subject: json.loads(attributes) for subject, attributes in rows}
    found = {site: _feeder(facts.get(site, {}), facts) for (site,) in sites}
    return {site: bytes.fromhex(feeder) for site, feeder in found.items() if feeder}


def _feeder(site: Any, facts: dict[bytes, Any]) -> str | None:
    building = facts.get(bytes.fromhex(site.get("building") or ""), {})
    feeder: str | None = site.get("feeder") or building.get("feeder")
    return feeder
