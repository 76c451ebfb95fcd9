"""A device on a serial port: mpremote and esptool do the talking, we say what and check what came of it."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commonwatt.errors import CommonwattError, UserError

_ABOUT = "build.json"


@dataclass(frozen=True, slots=True)
class Archive:
    """A .zip of `make firmware`: its board, and its files by their names on the device."""

    board: str
    files: dict[str, bytes]


def read_archive(path: Path) -> Archive:
    """Read and check an archive; UserError if it is not one or a file has other bytes than its hash says."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        about = json.loads(files.pop(_ABOUT))
        board, hashes = str(about["board"]), dict(about["sha256"])
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise UserError("this is not an archive of make firmware", where=path) from error
    for name in sorted(hashes.keys() | files.keys()):
        if hashes.get(name) != hashlib.sha256(files.get(name, b"")).hexdigest():
            raise UserError(f"{name} has other bytes than its hash says", where=path, to_do="make firmware")
    return Archive(board, files)


def tool(name: str) -> str:
    """Where mpremote or esptool is; UserError says how to get it."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise UserError(f"{name} is not installed here", to_do=f"pip install {name}")
    return found


def run(words: Sequence[str]) -> str:
    """What a tool prints; CommonwattError with its own words if it fails."""
    done = subprocess.run(list(words), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommonwattError(f"{' '.join(words)} failed:\n{done.stderr or done.stdout}")
    return done.stdout


def flash(port: str, archive: Archive, image: Path | None) -> None:
    """Write MicroPython's own image if one is given, then every file of the archive."""
    if image is not None:
        esptool = tool("esptool")
        run([esptool, "--port", port, "erase-flash"])
        run([esptool, "--port", port, "write-flash", "0x0", str(image)])
    mpremote = tool("mpremote")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, data in archive.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        tops = sorted(str(path) for path in root.iterdir())
        run([mpremote, "connect", port, "fs", "cp", "-r", *tops, ":"])
    run([mpremote, "connect", port, "reset"])


def enrol(port: str, settings: Path) -> str:
    """Put device.json on the device and let it make its key; the line that `commonwatt admit` needs, as JSON."""
    mpremote = tool("mpremote")
    run([mpremote, "connect", port, "fs", "cp", str(settings), ":device.json"])
    said = run(
        [mpremote, "connect", port, "exec", "from device import main; main(['device.json', '--identity'])"]
    ).splitlines()
    try:
        identity = json.loads(said[-1])
        bytes.fromhex(identity["public_key"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise CommonwattError(f"the device did not tell its key: {' '.join(said)}") from error
    return json.dumps(identity)


def monitor(port: str) -> int:
    """Show what the device prints until the person ends it."""
    return subprocess.run([tool("mpremote"), "connect", port, "repl"], check=False).returncode
