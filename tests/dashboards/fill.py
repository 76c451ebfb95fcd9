"""`python -m tests.dashboards.fill DIR INFLUX DATABASE STEP_S`: the village lives, and an InfluxDB 1 gets its points.

For `make dash-shots`. Everybody sends, and all is looked at, every STEP_S; the tests take larger steps, to be quick.
"""

import sys
import urllib.parse
import urllib.request
from pathlib import Path

from tests.dashboards import village


def main(directory: Path, influx: str, database: str, step_s: int) -> None:
    """Minutes."""
    village.live(village.found(directory), step_s=step_s)
    send(f"{influx}/query?" + urllib.parse.urlencode({"q": f'CREATE DATABASE "{database}"'}), b"")
    send(f"{influx}/write?db={database}&precision=s", "\n".join(village.lines(directory)).encode())


def send(url: str, body: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST")) as answer:
        assert answer.status in (200, 204)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
