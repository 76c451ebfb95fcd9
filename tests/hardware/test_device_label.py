"""The label on a device: what its QR code says, and what a person may type."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import segno
import zxingcpp
from typer.testing import CliRunner

from aggregator.cli import device_app
from commonwatt import device_label
from commonwatt.errors import UserError
from tests.hardware.label_print import printed

DEVICE = bytes(range(16))
CODE = "4RT69KQ2XM"


def test_content_when_it_is_printed() -> None:
    """Format, id and claim code, in the characters of the small QR mode."""
    assert device_label.content(DEVICE, CODE) == "CW1:000102030405060708090A0B0C0D0E0F:4RT6-9KQ2-XM"
    assert segno.make_qr(device_label.content(DEVICE, CODE)).mode == "alphanumeric"


def test_label_when_it_is_drawn() -> None:
    """A well-formed SVG whose dark modules are those of the QR code, one path of squares; the name is escaped."""
    root = ElementTree.fromstring(device_label.label_svg(DEVICE, CODE, "Roof <Mairie>"))
    space = "{http://www.w3.org/2000/svg}"
    path = root.find(f"{space}path")
    assert path is not None
    code = segno.make_qr(device_label.content(DEVICE, CODE), error="m", boost_error=False)
    assert path.get("d", "").count("M") == sum(sum(1 for module in row if module) for row in code.matrix)
    texts = [text.text for text in root.iter(f"{space}text")]
    assert texts == ["Roof <Mairie>", "0001020304050607", "08090A0B0C0D0E0F", "claim code", "4RT6-9KQ2-XM"]


@pytest.mark.parametrize("name", ["Roof", "Salle des fêtes – façade"])
def test_label_when_its_name_is_long(name: str) -> None:
    """Every line ends before the label does, in a font whose characters are 0.6 times as wide as high."""
    root = ElementTree.fromstring(device_label.label_svg(DEVICE, CODE, name))
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        end_mm = float(text.get("x", "")) + 0.6 * float(text.get("font-size", "")) * len(text.text or "")
        assert end_mm <= 61


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("dots_per_mm", [8, 12])  # 203 and 300 dots to the inch, as label printers have
def test_label_when_it_is_printed_and_scanned(dots_per_mm: float, turns: int) -> None:
    """A real decoder finds the code on the printed label, whichever way it is held, and reads what was meant."""
    dots = np.rot90(printed(device_label.label_svg(DEVICE, CODE, "Roof"), dots_per_mm), turns)
    (found,) = zxingcpp.read_barcodes(np.ascontiguousarray(dots))
    assert found.format == zxingcpp.BarcodeFormat.QRCode
    assert found.text == device_label.content(DEVICE, CODE)


def test_label_when_it_is_scratched() -> None:
    """A blot of 5 mm on the code costs nothing: 15 % of it may be lost."""
    dots = printed(device_label.label_svg(DEVICE, CODE, "Roof"), 12)
    dots[150:210, 130:190] = 255
    (found,) = zxingcpp.read_barcodes(dots)
    assert found.text == device_label.content(DEVICE, CODE)


@pytest.mark.parametrize("typed", ["4RT6-9KQ2-XM", "4rt69kq2xm", " 4RT6 9KQ2 XM "])
def test_claim_code_when_a_person_types_it(typed: str) -> None:
    """Case, hyphens and spaces do not matter."""
    assert device_label.read_claim_code(typed) == CODE


@pytest.mark.parametrize("typed", ["", "4RT6-9KQ2-X", "4RT6-9KQ2-XMM", "4RT6-9KQ2-XO", "CW1:"])
def test_claim_code_when_it_is_none(typed: str) -> None:
    """Anything else is refused with what a code looks like."""
    with pytest.raises(UserError, match="no claim code"):
        device_label.read_claim_code(typed)


def test_claim_codes_when_made() -> None:
    """They are random, and of the alphabet."""
    codes = {device_label.new_claim_code() for _ in range(100)}
    assert len(codes) == 100
    assert all(device_label.read_claim_code(code) == code for code in codes)


def test_command_when_it_draws_a_label(tmp_path: Path) -> None:
    """`commonwatt device label` writes the file and prints what to keep; a wrong id or name is refused."""
    out = tmp_path / "label.svg"
    asked = ["label", DEVICE.hex(), "--name", "Roof", "--code", "4rt6-9kq2-xm", "--out", str(out)]
    answer = CliRunner().invoke(device_app, asked)
    assert answer.exit_code == 0
    assert device_label.claim_hash(DEVICE, CODE) in answer.output
    assert "4RT6-9KQ2-XM" in out.read_text()
    assert isinstance(CliRunner().invoke(device_app, ["label", "12"]).exception, UserError)
    assert isinstance(CliRunner().invoke(device_app, [*asked, "--name", "x" * 25]).exception, UserError)
