"""Real mpremote and real esptool, as `commonwatt device flash`, `enrol` and `monitor` call them."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commonwatt.device.flashing.build import sources
from commonwatt.device.flashing.port import Archive, enrol, flash, image_steps, run, tool
from commonwatt.device_label import claim_hash, content
from commonwatt.errors import CommonwattError, UserError
from tests.firmware.serial_board import SerialBoard

pytestmark = pytest.mark.story

FIRMWARE = Path(__file__).parents[2] / "firmware"
COMMONWATT = Path(sys.executable).parent / "commonwatt"
PATIENCE_S = 30


@pytest.fixture
def board(tmp_path):
    flash_memory = tmp_path / "flash"
    flash_memory.mkdir()
    with SerialBoard(flash_memory) as board:
        yield board


def _archive(**settings):
    """What a board of this machine's kind gets: sources, for bytecode is made for chips."""
    files = {name: path.read_bytes() for name, path in sources(FIRMWARE).items() if not name.startswith("meters/t")}
    files["device.py"] = (FIRMWARE / "main.py").read_bytes()
    files["board.py"] = (FIRMWARE / "board.py").read_bytes()
    files["device.json"] = json.dumps({"state_dir": "state", **settings}).encode()
    return Archive("unix", "esp32", files)


def test_device_when_flashed_and_enrolled(board, tmp_path):
    """Every file arrives; the device makes its key and label once; settings it has are kept by another flash."""
    archive = _archive()
    assert flash(board.port, archive, None) is False
    for name, data in archive.files.items():
        assert (tmp_path / "flash" / name).read_bytes() == data, name
    settings = tmp_path / "mine.json"
    settings.write_text(json.dumps({"state_dir": "state", "step_s": 60}))
    identity = enrol(board.port, settings)
    assert json.loads((tmp_path / "flash" / "device.json").read_text())["step_s"] == 60
    assert flash(board.port, archive, None) is True
    assert json.loads((tmp_path / "flash" / "device.json").read_text())["step_s"] == 60
    label = tmp_path / "label.svg"
    words = [COMMONWATT, "device", "enrol", board.port, "--label", label, "--name", "Ana"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == {
        "device": identity.device.hex(),
        "public_key": identity.public_key.hex(),
        "claim_sha256": claim_hash(identity.device, identity.code),
        "label": content(identity.device, identity.code),
    }
    assert "Ana" in label.read_text()


def test_enrol_when_a_commune_has_settings(board, tmp_path):
    """They are laid over what the device has, the authority beside them; what is none never reaches the device."""
    flash(board.port, _archive(meter={"type": "replay"}, broker={"port": 1}), None)
    kept = tmp_path / "flash" / "device.json"
    commune, ca = tmp_path / "commune.json", tmp_path / "ca.pem"
    commune.write_text(json.dumps({"broker": {"host": "gate"}, "control": {"public_key": "00"}}))
    ca.write_text("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    enrol(board.port, commune, ca)
    wanted = {
        "state_dir": "state",
        "meter": {"type": "replay"},
        "broker": {"port": 1, "host": "gate", "tls": {"ca": "ca.pem"}},
        "control": {"public_key": "00"},
    }
    assert json.loads(kept.read_text()) == wanted
    assert (tmp_path / "flash" / "ca.pem").read_text() == ca.read_text()
    for wrong in ("", "[]", "7", "{"):
        commune.write_text(wrong)
        with pytest.raises(UserError, match=r"no device\.json"):
            enrol(board.port, commune)
    ca.write_text("a shopping list")
    with pytest.raises(UserError, match="no certificate"):
        enrol(board.port, None, ca)
    with pytest.raises(UserError, match="cannot be read"):
        enrol(board.port, None, tmp_path / "none.pem")
    assert json.loads(kept.read_text()) == wanted


def test_enrol_when_the_device_has_no_firmware(board, tmp_path):
    """What the device said is told, and settings are not put where nothing reads them."""
    with pytest.raises(CommonwattError, match="device"):
        enrol(board.port)
    (tmp_path / "some.json").write_text('{"board": "esp32_tic"}')
    with pytest.raises(UserError, match="flash it first"):
        enrol(board.port, tmp_path / "some.json")
    assert not (tmp_path / "flash" / "device.json").exists()


def test_enrol_when_the_key_file_is_damaged(board, tmp_path):
    """The device says so and nobody takes its words for a key."""
    flash(board.port, _archive(), None)
    (tmp_path / "flash" / "state").mkdir()
    (tmp_path / "flash" / "state" / "key").write_text("shopping list\n")
    with pytest.raises(CommonwattError, match="not a key file"):
        enrol(board.port)


def test_port_when_nothing_is_there(tmp_path):
    """mpremote's own words are told."""
    with pytest.raises(CommonwattError, match="failed"):
        flash(str(tmp_path / "ttyUSB9"), _archive(), None)


def test_image_when_esptool_is_asked(tmp_path):
    """esptool itself understands the words and the chip, and only misses the port; an ESP32's image begins later."""
    image = tmp_path / "image.bin"
    image.write_bytes(bytes(64))
    for chip, offset in (("esp32", "0x1000"), ("esp32s3", "0x0"), ("esp32c3", "0x0")):
        erase, write = image_steps(tool("esptool"), str(tmp_path / "ttyUSB9"), chip, image)
        assert write[-2:] == [offset, str(image)]
        for words in (erase, write):
            with pytest.raises(
                CommonwattError, match=re.compile("could not open|no such file", re.IGNORECASE)
            ) as told:
                run(words)
            assert "Usage" not in str(told.value)
    with pytest.raises(UserError, match="no chip of ours"):
        image_steps("esptool", "port", "esp8266", image)
    with pytest.raises(UserError, match="no such image"):
        flash("port", _archive(), tmp_path / "missing.bin")


def test_monitor_when_the_device_speaks(board, tmp_path):
    """What the device prints is seen; Ctrl-] ends it."""
    ours, theirs = pty.openpty()
    words = [COMMONWATT, "device", "monitor", board.port]
    monitor = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs)
    try:
        _read_until(ours, b"Ctrl-")
        os.write(ours, b"print(6 * 7)\r")
        _read_until(ours, b"\n42")
        os.write(ours, b"\x1d")
        assert monitor.wait(PATIENCE_S) == 0
    finally:
        monitor.kill()
        monitor.wait()
        os.close(ours)
        os.close(theirs)


def _read_until(end, words):
    heard, deadline = b"", time.monotonic() + PATIENCE_S
    while words not in heard:
        assert select.select([end], [], [], max(0, deadline - time.monotonic()))[0], heard
        heard += os.read(end, 4096)
