"""What a demo that stays is made of; tests/stories/test_demo.py keeps a whole one."""

import socket
import subprocess
from pathlib import Path

import zxingcpp
from PIL import Image

from aggregator import testing
from aggregator.testing import ident, key
from commonwatt.demo import keeping
from commonwatt.demo.handing_over import somebody_waits
from ledger.book.body import AdmitRole, role_key_id
from ledger.book.entry import Entry
from web.drafts import desk
from web.store.file import WebStore

ROOT = Path(__file__).parents[2]


def test_make_when_it_is_told_to_end() -> None:
    """The shell gives its place to the demo, so that what make is sent reaches it and nobody is left behind."""
    done = subprocess.run(
        ["make", "-n", "demo", "KEEP=1", "TLS=1"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (line,) = [line for line in done.stdout.splitlines() if line.endswith("commonwatt demo")]
    assert line.startswith("exec env ")
    assert "KEEP='1' TLS='1'" in line


def test_code_when_a_camera_reads_it() -> None:
    """Half blocks of a terminal, dark on its light ones, are the address."""
    address = "https://192.168.1.20:8680/join/" + "x" * 43
    rows = keeping.qr(address).splitlines()
    side = len(rows[0])
    picture = Image.new("L", (side + 8, 2 * len(rows) + 8), 255)
    for y, row in enumerate(rows):
        for x, block in enumerate(row):
            for half, is_dark in enumerate((block in " ▄", block in " ▀")):
                if is_dark and 0 < x < side - 1:
                    picture.putpixel((x + 4, 2 * y + half + 4), 0)
    (found,) = zxingcpp.read_barcodes(
        picture.resize((4 * picture.width, 4 * picture.height), Image.Resampling.NEAREST)
    )
    assert found.text == address


def test_port_when_somebody_has_it() -> None:
    """Another one is taken; a free one is kept."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert keeping.free_port_near(taken) != taken
    assert keeping.free_port_near(taken) == taken


def test_hand_over_when_somebody_comes_in(tmp_path: Path) -> None:
    """Only a new key that waits calls the demo; what two offices must agree on does not, nor what is done."""
    path = tmp_path / "web.db"
    assert not somebody_waits(path)
    testing.quarter(tmp_path).close()
    store = WebStore(tmp_path)
    assert not somebody_waits(path)
    public_key = key("new").public_key
    for purpose, waits in (("reverse", False), ("office", True)):
        entry = Entry(ident(purpose), testing.TIME_S, AdmitRole(role_key_id(public_key), "steward", public_key))
        with store.transaction() as connection:
            desk.propose(connection, entry, purpose=purpose, about=None, proposed_by=None, now_s=testing.TIME_S)
        assert somebody_waits(path) == waits
    with store.transaction() as connection:
        desk.end(connection, ident("office"), "placed 812")
    assert not somebody_waits(path)
    store.close()
