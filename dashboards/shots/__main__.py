"""`make dash-shots`: fill an InfluxDB with what the demo's forty homes make, draw every dashboard, keep the pictures.

What was filled stays in var/shots and is used again; FRESH=1 fills anew. README.md says what is drawn by what.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from commonwatt.demo.dashboards import BUCKET
from commonwatt.demo.programs import Program, answers, free_port, wait_for
from commonwatt.demo.registers.homes import START_S
from commonwatt.errors import CommonwattError, UserError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = ROOT / "dashboards" / "built" / "dashboards"
PICTURES = ROOT / "docs" / "pictures"
PLACE = ROOT / "var" / "shots"

DAY_S = 86_400
ZONE, ZONE_S = "Europe/Paris", 7200
"""What the dashboards' days are days of, and how far it is ahead of UTC in the village's July."""
HOME = "swiss2"
"""The home that has a database of its own (tests/dashboards/fill.py)."""
STEP_S = 900
"""The village is looked at every quarter of an hour: curves, not dots."""
PICTURE_BYTES_MAX = 200_000
COLOURS = (128, 64, 32)
"""Colours of a picture: as many of these as fit into its bytes."""
TOOLS = {"influxd": "influxdb", "node": "nodejs", "npm": "npm", "chromium": "chromium"}
"""Programs by the Debian package that has them."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture. `file`: the dashboard below BUILT; `days`: which of the village's days, from and until."""

    name: str
    file: str
    days: tuple[int, int]
    theme: str = "dark"
    database: str = BUCKET
    width: int = 1600


SHOTS = (
    Shot("dash-operator", "operators/operator", (2, 5)),
    Shot("dash-fleet", "operators/fleet", (3, 5)),
    Shot("dash-minting", "operators/minting", (0, 5)),
    Shot("dash-commune", "public/commune-en", (1, 5), theme="light"),
    Shot("dash-commune-fr", "public/commune-fr", (1, 5), theme="light"),
    Shot("dash-home", "home/home-en", (1, 5), theme="light", database=HOME),
    Shot("dash-home-fr", "home/home-fr", (1, 5), theme="light", database=HOME),
)


def main() -> int:
    """1 if a query failed or a page did; the pictures are kept all the same."""
    found = {name: _found(name) for name in TOOLS}
    if os.environ.get("FRESH"):
        shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    with _influxd(found["influxd"]) as influx:
        _fill(influx)
        _bundle(found["node"], found["npm"])
        return _draw(found, influx)


def _found(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise UserError(f"{name} is not here", to_do=f"apt install {TOOLS[name]}")
    return path


@contextmanager
def _influxd(influxd: str) -> Iterator[str]:
    """The URL of an InfluxDB of our own, whose data stay in PLACE."""
    port, rpc, home = free_port(), free_port(), PLACE / "influx"
    home.mkdir(exist_ok=True)
    config = home / "influxdb.conf"
    config.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n[meta]\ndir = "{home}/meta"\n'
        f'[data]\ndir = "{home}/data"\nwal-dir = "{home}/wal"\nindex-version = "tsi1"\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n'
    )
    program = Program("influxd", [influxd, "-config", str(config)], home / "influxd.log")
    program.start()
    try:
        wait_for(lambda: answers("127.0.0.1", port), what="influxd", timeout_s=60, programs=[program])
        yield f"http://127.0.0.1:{port}"
    finally:
        program.stop()


def _fill(influx: str) -> None:
    """Let the village live its days, unless its points are here from the last time."""
    done, home = PLACE / "filled", PLACE / "village"
    if done.exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    print("Forty homes live five days (minutes) …", flush=True)
    argv = [sys.executable, "-m", "tests.dashboards.fill", str(home), influx, str(STEP_S)]
    subprocess.run(argv, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    done.touch()


def _bundle(node: str, npm: str) -> None:
    """The page, from pinned packages. No script of a package is run."""
    lock, installed = HERE / "package-lock.json", HERE / "node_modules" / ".installed"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        words = [npm, "ci", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(words, cwd=HERE, check=True, stdin=subprocess.DEVNULL)
        installed.write_bytes(lock.read_bytes())
    shutil.rmtree(PLACE / "site", ignore_errors=True)
    subprocess.run([node, "build.mjs", str(PLACE / "site")], cwd=HERE, check=True, stdin=subprocess.DEVNULL)


def _draw(found: dict[str, str], influx: str) -> int:
    """Take every picture and tell what its dashboard asked; the exit code of who takes them."""
    raw = PLACE / "raw"
    raw.mkdir(exist_ok=True)
    plan = {
        "site": str(PLACE / "site"), "dashboards": str(BUILT), "influx": influx, "zone": ZONE,
        "interval": f"{STEP_S // 60}m",
        "chromium": found["chromium"], "out": str(raw), "shots": [_told(shot) for shot in SHOTS],
    }  # fmt: skip
    (PLACE / "plan.json").write_text(json.dumps(plan))
    argv = [found["node"], "shots.mjs", str(PLACE / "plan.json")]
    with subprocess.Popen(argv, cwd=HERE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        for line in node.stdout:
            _keep(json.loads(line), raw)
    return node.returncode


def _told(shot: Shot) -> dict[str, Any]:
    start_ms, end_ms = ((START_S - ZONE_S + day * DAY_S) * 1000 for day in shot.days)
    fields = {name: getattr(shot, name) for name in ("name", "file", "theme", "database", "width")}
    return {**fields, "from": start_ms, "to": end_ms}


def _keep(seen: dict[str, Any], raw: Path) -> None:
    """The picture in few colours, and a line about what was asked."""
    target = PICTURES / f"{seen['name']}.png"
    for colours in COLOURS:
        picture = Image.open(raw / target.name).convert("RGB")
        picture.quantize(colours, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= PICTURE_BYTES_MAX:
            break
    else:
        raise CommonwattError(f"{target} has more than {PICTURE_BYTES_MAX} bytes: draw less")
    empty = [query["query"] for query in seen["queries"] if not query["rows"]]
    size_kb, asked = target.stat().st_size // 1000, len(seen["queries"])
    print(f"{target.relative_to(ROOT)}  {size_kb} kB  {asked} queries, {len(empty)} without an answer", flush=True)
    for line in (*(f"  nothing: {query}" for query in empty), *(f"  FAILED: {error}" for error in seen["errors"])):
        print(line)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CommonwattError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
