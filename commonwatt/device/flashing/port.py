"""A device on a serial port: mpremote and esptool do the talking, we say what and check what came of it."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commonwatt.device_label import FORMAT, claim_hash, content, read_claim_code
from commonwatt.errors import CommonwattError, UserError
from commonwatt.identity import KEY_SIZE

_ABOUT = "build.json"


IMAGE_OFFSETS = {"esp32": "0x1000", "esp32s3": "0x0", "esp32c3": "0x0"}
"""Where MicroPython's own image lies in flash, by chip (its download pages say so for each board)."""
SETTINGS = "device.json"
_HERE = ":./"  # the folder the device runs in; a bare ":" is no folder to every port
_STARTS_MAX = 10


@dataclass(frozen=True, slots=True)
class Archive:
    """A .zip of `make firmware`: its board, that board's chip, and its files by their names on the device."""

    board: str
    chip: str
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says of itself, for the commune's roster and for its label."""

    device: bytes
    public_key: bytes
    code: str

    def as_json(self) -> str:
        """One line: id, public key, the hash that the commune keeps of the claim code, and what the label says."""
        return json.dumps(
            {
                "device": self.device.hex(),
                "public_key": self.public_key.hex(),
                "claim_sha256": claim_hash(self.device, self.code),
                "label": content(self.device, self.code),
            }
        )


def read_archive(path: Path) -> Archive:
    """Read and check an archive; UserError if it is not one or a file has other bytes than its hash says."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        about = json.loads(files.pop(_ABOUT))
        board, chip, hashes = str(about["board"]), str(about["chip"]), dict(about["sha256"])
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise UserError("this is not an archive of make firmware", where=path) from error
    for name in sorted(hashes.keys() | files.keys()):
        if hashes.get(name) != hashlib.sha256(files.get(name, b"")).hexdigest():
            raise UserError(f"{name} has other bytes than its hash says", where=path, to_do="make firmware")
    return Archive(board, chip, files)


def tool(name: str) -> str:
    """Where mpremote or esptool is; UserError says how to get it."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise UserError(f"{name} is not installed here", to_do="pip install 'commonwatt[device]'")
    return found


def run(words: Sequence[str]) -> str:
    """What a tool prints; CommonwattError with its own words if it fails."""
    done = subprocess.run(list(words), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommonwattError(f"{' '.join(words)} failed:\n{done.stderr or done.stdout}")
    return done.stdout


def image_steps(esptool: str, port: str, chip: str, image: Path) -> list[list[str]]:
    """esptool's words that put MicroPython's own image on an emptied chip; UserError for a chip we do not know."""
    if chip not in IMAGE_OFFSETS:
        raise UserError(f"{chip!r} is no chip of ours", to_do=f"one of {', '.join(IMAGE_OFFSETS)}")
    words = [esptool, "--chip", chip, "--port", port]
    return [[*words, "erase-flash"], [*words, "write-flash", IMAGE_OFFSETS[chip], str(image)]]


def flash(port: str, archive: Archive, image: Path | None) -> bool:
    """Write MicroPython's own image if one is given, then the archive; whether the device had settings, kept."""
    mpremote = tool("mpremote")
    if image is not None:
        if not image.is_file():
            raise UserError("there is no such image", where=image)
        for words in image_steps(tool("esptool"), port, archive.chip, image):
            run(words)
        _await_start(mpremote, port)
    is_known = _exec(mpremote, port, f"import os; print({SETTINGS!r} in os.listdir())").strip() == "True"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, data in archive.files.items():
            if name != SETTINGS or not is_known:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(data)
        tops = sorted(str(path) for path in root.iterdir())
        run([mpremote, "connect", port, "fs", "cp", "-r", *tops, _HERE])
    run([mpremote, "connect", port, "reset"])
    return is_known


def enrol(port: str, settings: Path | None = None, ca: Path | None = None) -> Identity:
    """Lay a commune's settings over the device's own, and let it make its key and label on its first boot.

    `ca`: the certificate authority that the device is to believe; it is put beside the settings.
    """
    mpremote = tool("mpremote")
    told = _read_settings(settings) if settings is not None else {}
    if ca is not None:
        _check_authority(ca)
        run([mpremote, "connect", port, "fs", "cp", str(ca), f":{ca.name}"])  # before the settings that name it
        told = merged(told, {"broker": {"tls": {"ca": ca.name}}})
    if told:
        _merge(mpremote, port, told, settings or SETTINGS)
    said = _exec(mpremote, port, f"from device import main; main([{SETTINGS!r}, '--identity'])").splitlines()
    try:
        told = json.loads(said[-1])
        form, device, code = told["label"].split(":")
        identity = Identity(bytes.fromhex(told["device"]), bytes.fromhex(told["public_key"]), read_claim_code(code))
        is_good = form == FORMAT and bytes.fromhex(device) == identity.device and len(identity.public_key) == KEY_SIZE
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, UserError) as error:
        raise CommonwattError(f"the device did not tell who it is: {' '.join(said)}") from error
    if not is_good:
        raise CommonwattError(f"the device tells two stories: {said[-1]}")
    return identity


def monitor(port: str) -> int:
    """Show what the device prints until the person ends it."""
    return subprocess.run([tool("mpremote"), "connect", port, "repl"], check=False).returncode


def _exec(mpremote: str, port: str, code: str) -> str:
    return run([mpremote, "connect", port, "exec", code])


def _await_start(mpremote: str, port: str) -> None:
    """A chip that got a new image makes its file system before it answers."""
    for _ in range(_STARTS_MAX - 1):
        try:
            _exec(mpremote, port, "pass")
            return
        except CommonwattError:
            continue
    _exec(mpremote, port, "pass")


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others over them; tables are merged, everything else is replaced."""
    result = dict(under)
    for name, value in over.items():
        below = result.get(name)
        result[name] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _merge(mpremote: str, port: str, told: Mapping[str, Any], where: object) -> None:
    said = _exec(
        mpremote, port, f"import os; print(open({SETTINGS!r}).read() if {SETTINGS!r} in os.listdir() else '')"
    )
    try:
        has = json.loads(said or "{}")
    except ValueError:
        has = {}  # a file that was cut: what is told now replaces it
    settings = merged(has if isinstance(has, dict) else {}, told)
    if "state_dir" not in settings:
        raise UserError(
            "the device has no settings yet, and these name no state_dir", where=where, to_do="flash it first"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SETTINGS
        path.write_text(json.dumps(settings, indent=1) + "\n")
        run([mpremote, "connect", port, "fs", "cp", str(path), f":{SETTINGS}"])


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"this is no device.json: {error}", where=path) from error
    if not isinstance(settings, dict):
        raise UserError("this is no device.json", where=path)
    return settings


def _check_authority(path: Path) -> None:
    try:
        is_pem = "-----BEGIN CERTIFICATE-----" in path.read_text()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}", where=path) from error
    if not is_pem:
        raise UserError("this is no certificate (PEM)", where=path, to_do="take the broker's ca.pem")
