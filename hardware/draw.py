"""Renders every drawing of the builds: `python hardware/draw.py`. Needs wireviz, schemdraw and Graphviz's `dot`.

Each picture ends with the SHA-256 of the source it was drawn from, so that a stale one is found without `dot`.
"""

import hashlib
import os
import re
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def sources(folder: Path = HERE) -> list[Path]:
    """What there is to draw: wiring as WireViz YAML, schematics as schemdraw programs."""
    return sorted([*folder.glob("*/wiring*.yaml"), *folder.glob("*/schematic*.py")])


def stamp(source: Path) -> str:
    """The comment that ties a picture to its source."""
    return f"<!-- drawn from {source.name} sha256:{hashlib.sha256(source.read_bytes()).hexdigest()} -->\n"


def draw(source: Path) -> str:
    """The picture as SVG text."""
    svg = _wiring(source) if source.suffix == ".yaml" else _schematic(source)
    # Graphviz writes "transparent", which SVG has only since version 2: browsers know it, other viewers draw black.
    svg = svg.replace('stroke="transparent"', 'stroke="none"').replace('fill="transparent"', 'fill="none"')
    svg = re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)
    return svg.rstrip() + "\n" + stamp(source)


def _wiring(source: Path) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        command = Path(sys.executable).parent / "wireviz"
        subprocess.run(
            [command, "-f", "s", "-o", scratch, source],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        return (Path(scratch) / source.with_suffix(".svg").name).read_text()


def _schematic(source: Path) -> str:
    drawing = runpy.run_path(str(source))["drawing"]()
    return bytes(drawing.get_imagedata("svg")).decode()


if __name__ == "__main__":
    for path in sources():
        path.with_suffix(".svg").write_text(draw(path))
        print(path.with_suffix(".svg").relative_to(HERE))
