"""`make firmware`: the same sources give the same bytes, and what is flashed is what was built."""

import hashlib
import json
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

from commonwatt.device.flashing.build import board_names, build, mpy_cross, sources
from commonwatt.device.flashing.port import read_archive, tool
from commonwatt.errors import UserError

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"
MICROPYTHON = Path(sys.executable).parent / "micropython"


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(folder, archives) of one build."""
    folder = tmp_path_factory.mktemp("built")
    return folder, build(FIRMWARE, folder, 7)


def test_build_when_done_twice(built, tmp_path):
    """Both times every byte of every file is the same, and each board has an archive with its own sums."""
    folder, archives = built
    build(FIRMWARE, tmp_path / "two", 7)
    assert _files(folder) == _files(tmp_path / "two")
    assert [made.path.name for made in archives] == [f"{board}.zip" for board in sorted(board_names(FIRMWARE))]
    assert {made.chip for made in archives} == {"esp32", "esp32s3", "esp32c3"}
    sums = (folder / "SHA256SUMS").read_text()
    for made in archives:
        assert f"{hashlib.sha256(made.path.read_bytes()).hexdigest()}  {made.path.name}\n" in sums


def test_build_has_every_module(built):
    """Whatever is in the firmware's packages is in each archive, but for the other boards; sizes are as packed."""
    for made in built[1]:
        archive = read_archive(made.path)
        wanted = {name.removesuffix(".py") + ".mpy" for name in sources(FIRMWARE)} | {"device.mpy", "board.mpy"}
        wanted -= {f"boards/{board}.mpy" for board in board_names(FIRMWARE) if board != made.board}
        assert archive.files.keys() == wanted | {"main.py", "device.json"}
        assert made.mpy_bytes == sum(len(code) for name, code in archive.files.items() if name.endswith(".mpy"))
        settings = json.loads(archive.files["device.json"])
        assert settings["board"] == made.board
        assert settings["meter"] == board_names(FIRMWARE)[made.board]["meter"]


def test_build_for_an_image(built, tmp_path):
    """The manifest freezes every module under its name on the device, with the version that was asked for."""
    folder = built[0] / "frozen"
    said = []
    scope = {"include": said.append, "freeze": lambda path, opt: said.append((path, opt))}
    exec(compile((folder / "manifest.py").read_text(), "manifest.py", "exec"), scope)
    assert said == ["$(PORT_DIR)/boards/manifest.py", ("modules", 2)]
    modules = _files(folder / "modules")
    assert modules.keys() == sources(FIRMWARE).keys() | {"device.py", "board.py", "main.py"}
    assert b"\nVERSION = 7 " in modules["board.py"]
    assert modules["device.py"] == (FIRMWARE / "main.py").read_bytes()
    table = (folder / "partitions-4MiB.csv").read_text().splitlines()[1:]
    rows = [row.split(",") for row in table]
    assert [row[:3] for row in rows if row[0].startswith("ota")][:2] == [
        ["otadata", "data", "ota"],
        ["ota_0", "app", "ota_0"],
    ]
    ends = [int(offset, 16) + int(size, 16) for *_, offset, size in rows]
    assert ends[:-1] == [int(row[3], 16) for row in rows[1:]]
    assert ends[-1] == 4 * 1024 * 1024
    with pytest.raises(UserError, match="is no version"):
        build(FIRMWARE, tmp_path, 0)


@pytest.mark.parametrize(("outcome", "then"), [(0, []), (2, [60, "restart"])])
def test_starter(built, monkeypatch, outcome, then):
    """A device that cannot start tries again, a minute later."""
    done = []
    device, board, clock = types.ModuleType("device"), types.ModuleType("board"), types.ModuleType("time")
    device.main = lambda words: done.append(words) or outcome
    board.restart = lambda: done.append("restart")
    clock.sleep = done.append
    for module in (device, board, clock):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    with zipfile.ZipFile(built[1][0].path) as archive:
        starter = archive.read("main.py")
    monkeypatch.setattr(sys, "path", list(sys.path))
    frozen = (built[0] / "frozen" / "modules" / "main.py").read_bytes()
    assert frozen.endswith(starter)
    for text in (starter, frozen):
        done.clear()
        exec(compile(text, "main.py", "exec"), {})
        assert done == [["device.json"], *then]


def test_archive_when_a_byte_was_changed(built, tmp_path):
    """What is not what was built is not flashed."""
    path = built[1][0].path
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
    with pytest.raises(UserError, match="no-such-tool is not installed"):
        tool("no-such-tool")


def test_bytecode_when_run(tmp_path):
    """A real MicroPython runs the device from compiled modules alone: it makes its key and tells the public half."""
    compiler = mpy_cross()
    for folder in ("node", "meters"):
        for source in sorted((FIRMWARE / folder).rglob("*.py")):
            target = tmp_path / source.relative_to(FIRMWARE).with_suffix(".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([compiler, "-O2", "-march=x64", "-o", target, source], check=True, capture_output=True)
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
