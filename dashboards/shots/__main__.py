"""`make dash-shots`: let the demo fill an InfluxDB, draw every dashboard, keep the pictures in docs/pictures.

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
from commonwatt.demo.plan import DAY_S
from commonwatt.demo.programs import BIN, Program, answers, free_port, wait_for
from commonwatt.errors import CommonwattError, UserError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = ROOT / "dashboards" / "built" / "dashboards"
PICTURES = ROOT / "docs" / "pictures"
PLACE = ROOT / "var" / "shots"

HOMES, DAYS = 40, 2
PICTURE_BYTES_MAX = 200_000
COLOURS = (128, 64, 32)
"""Colours of a picture: as many of these as fit into its bytes."""
TOOLS = {"influxd": "influxdb", "node": "nodejs", "npm": "npm", "chromium": "chromium"}
"""Programs by the Debian package that has them."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture. `file`: the dashboard below BUILT; `width`: of the screen, in pixels."""

    name: str
    file: str
    theme: str = "dark"
    width: int = 1600


SHOTS = (
    Shot("dash-operator", "operators/operator"),
    Shot("dash-fleet", "operators/fleet"),
    Shot("dash-minting", "operators/minting"),
    Shot("dash-commune", "public/commune-en", theme="light"),
    Shot("dash-commune-fr", "public/commune-fr", theme="light"),
)


def main() -> None:
    """Exit code 1 if a query failed or a page did; the pictures are kept all the same."""
    found = {name: _found(name) for name in TOOLS}
    if os.environ.get("FRESH"):
        shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    with _influxd(found["influxd"]) as influx:
        span = _fill(influx)
        _bundle(found["node"], found["npm"])
        failed = _draw(found, influx, span)
    sys.exit(1 if failed else 0)


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


def _fill(influx: str) -> tuple[int, int]:
    """From when to when the demo lived, civil seconds; runs it unless its data are there."""
    lived = PLACE / "demo" / "demo.json"
    done = PLACE / "filled"
    if not done.exists():
        words = ["demo", "--homes", HOMES, "--days", DAYS, "--influx", influx, "--dir", PLACE / "demo"]
        subprocess.run([str(BIN / "commonwatt"), *map(str, words)], check=True, stdin=subprocess.DEVNULL)
        done.touch()
    content = json.loads(lived.read_text())
    return content["starts_s"], content["ends_s"]


def _bundle(node: str, npm: str) -> None:
    """The page, from pinned packages. No script of a package is run."""
    lock, installed = HERE / "package-lock.json", HERE / "node_modules" / ".installed"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        words = [npm, "ci", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(words, cwd=HERE, check=True, stdin=subprocess.DEVNULL)
        # esbuild's own program is in a package of its own, so that no script need fetch it.
        installed.write_bytes(lock.read_bytes())
    shutil.rmtree(PLACE / "site", ignore_errors=True)
    subprocess.run([node, "build.mjs", str(PLACE / "site")], cwd=HERE, check=True, stdin=subprocess.DEVNULL)


def _draw(found: dict[str, str], influx: str, span: tuple[int, int]) -> bool:
    """Take every picture and tell what its dashboard asked; whether anything failed."""
    start_s, end_s = span
    raw = PLACE / "raw"
    raw.mkdir(exist_ok=True)
    times = {"from": start_s * 1000, "to": end_s * 1000}
    shots = [{"name": s.name, "file": s.file, "theme": s.theme, "width": s.width, **times} for s in SHOTS]
    plan = {
        "site": str(PLACE / "site"), "dashboards": str(BUILT), "influx": influx, "database": BUCKET, "token": "",
        "chromium": found["chromium"], "out": str(raw), "shots": shots,
    }  # fmt: skip
    (PLACE / "plan.json").write_text(json.dumps(plan))
    argv = [found["node"], "shots.mjs", str(PLACE / "plan.json")]
    with subprocess.Popen(argv, cwd=HERE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        for line in node.stdout:
            _keep(json.loads(line), raw)
    return node.returncode != 0


def _keep(seen: dict[str, Any], raw: Path) -> None:
    """The picture in few colours, and a line about what was asked."""
    target = PICTURES / f"{seen['name']}.png"
    for colours in COLOURS:
        picture = (
            Image.open(raw / target.name)
            .convert("RGB")
            .quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        )
        picture.save(target, optimize=True)
        if target.stat().st_size <= PICTURE_BYTES_MAX:
            break
    else:
        raise CommonwattError(f"{target} has more than {PICTURE_BYTES_MAX} bytes: draw less")
    empty = [query["query"] for query in seen["queries"] if not query["rows"]]
    print(
        f"{target.relative_to(ROOT)}  {target.stat().st_size // 1000} kB  {len(seen['queries'])} queries, {len(empty)} without an answer"
    )
    for line in (*(f"  nothing: {query}" for query in empty), *(f"  FAILED: {error}" for error in seen["errors"])):
        print(line)


if __name__ == "__main__":
    try:
        main()
    except CommonwattError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
