"""Heat meters over M-Bus: real telegrams (rscada/libmbus) against the values that libmbus gives for them."""

import xml.etree.ElementTree as ElementTree
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.meters import mbus, mbus_serial
from gateway.meters.mbus import MBusRefusal, Telegram

TELEGRAMS = sorted((Path(__file__).parent / "captures" / "mbus").glob("*.hex"))
BY_NAME = {path.stem: bytes.fromhex(path.read_text()) for path in TELEGRAMS}
HEAT_WH = {
    "kamstrup_multical_601": 37_351_000,
    "SEN_Pollustat": 39_831_000,
    "ZRM_Minol-Minocal-C2": 3_000,
    "sontex_supercal_531_telegram1": 0,
    "allmess_cf50": MBusRefusal.METER_ERROR,
    "amt_calec_mb": MBusRefusal.NO_VALUE,
    "eastron_sdm630": MBusRefusal.NOT_HEAT,
    "ACW_Itron-BM-plus-m": MBusRefusal.NOT_HEAT,
}


def taken_apart(name: str) -> Telegram:
    telegram = mbus.parse(BY_NAME[name])
    assert isinstance(telegram, Telegram)
    return telegram


@pytest.mark.parametrize("path", TELEGRAMS, ids=lambda path: path.stem)
def test_telegram_when_a_real_meter_sent_it(path: Path) -> None:
    """Who answered, and every energy with its storage number, tariff and subunit, are as libmbus reads them."""
    telegram = taken_apart(path.stem)
    expected = ElementTree.fromstring(path.with_suffix(".norm.xml").read_text())
    meter = expected.find("SlaveInformation")
    assert meter is not None
    assert int(telegram.identification) == int(meter.findtext("Id", ""))
    assert telegram.manufacturer == meter.findtext("Manufacturer")
    assert telegram.status == int(meter.findtext("Status", ""), 16)
    compared = 0
    for own, record in zip(telegram.records, expected.findall("DataRecord"), strict=False):
        if own.energy_wh is not None:
            divisor = {"Wh": 1, "J": 3600}[record.findtext("Unit", "")]
            assert own.energy_wh == Fraction(record.findtext("Value", "")) / divisor
            assert own.storage == int(record.findtext("StorageNumber", ""))
            assert own.tariff == int(record.findtext("Tariff") or 0)
            assert own.subunit == int(record.findtext("Device") or 0)
            compared += 1
    if telegram.medium in mbus.HEAT_MEDIA:
        assert bool(compared) == any(record.findtext("Unit") in ("Wh", "J") for record in expected.iter("DataRecord"))


@pytest.mark.parametrize("name", HEAT_WH)
def test_heat_when_a_real_meter_sent_it(name: str) -> None:
    """The present register of the whole meter in whole Wh; another medium or a broken meter gives none."""
    assert mbus.heat_wh(taken_apart(name)) == HEAT_WH[name]


@pytest.mark.parametrize("name", BY_NAME)
def test_parse_when_a_byte_is_damaged(name: str) -> None:
    """The checksum, the lengths and the end are proven before a record is looked at."""
    data = BY_NAME[name]
    for index in range(len(data)):
        damaged = data[:index] + bytes([data[index] ^ 0x10]) + data[index + 1 :]
        assert mbus.parse(damaged) is MBusRefusal.MALFORMED
    assert mbus.parse(data[:-1]) is MBusRefusal.MALFORMED


@given(st.binary(max_size=mbus.TELEGRAM_SIZE_MAX + 1))
def test_parse_when_bytes_are_noise(content: bytes) -> None:
    """Whatever stands in a well-framed telegram, the answer is a telegram or a refusal."""
    length = len(content) & 0xFF
    body = content[:length]
    data = bytes([0x68, length, length, 0x68]) + body + bytes([sum(body) & 0xFF, 0x16])
    assert isinstance(mbus.parse(data), Telegram | MBusRefusal)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0406E7910000", "040600000080"),  # the most negative number is "no value"
        ("0406E7910000", "0406FFFFFFFF"),  # minus one
        ("0406E7910000", "0C06AABBCCDD"),  # digits that are none
        ("0406E7910000", "05060000C07F"),  # not a number
        ("0406E7910000", "3406E7910000"),  # the value of an error state
    ],
)
def test_heat_when_the_register_has_no_value(old: str, new: str) -> None:
    """A register without a value never becomes 0, and no other record takes its place."""
    data = BY_NAME["kamstrup_multical_601"]
    body = data[4:-2].hex().upper().replace(old, new, 1)
    assert body != data[4:-2].hex().upper()
    raw = bytes.fromhex(body)
    telegram = mbus.parse(data[:4] + raw + bytes([sum(raw) & 0xFF, 0x16]))
    assert isinstance(telegram, Telegram)
    assert mbus.heat_wh(telegram) is MBusRefusal.NO_VALUE


class RecordedLine:
    """A level converter behind which one meter answers as it was recorded."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.waiting = b"late answer of another meter"
        self.written = b""

    def reset_input_buffer(self) -> None:
        self.waiting = b""

    def write(self, data: bytes, /) -> None:
        self.written += data
        self.waiting += self.answer

    def read(self, size: int, /) -> bytes:
        data, self.waiting = self.waiting[:size], self.waiting[size:]
        return data


def test_line_when_the_meter_answers() -> None:
    """The question is REQ_UD2 of EN 13757-2; what lay in the buffer before is forgotten."""
    line = RecordedLine(BY_NAME["kamstrup_multical_601"])
    telegram = mbus_serial.read_telegram(line, 17)
    assert line.written == bytes.fromhex("107B118C16")
    assert isinstance(telegram, Telegram)
    assert mbus.heat_wh(telegram) == 37_351_000


@pytest.mark.parametrize(
    ("answer", "address", "expected"),
    [
        (b"", 17, None),
        (BY_NAME["kamstrup_multical_601"], 18, MBusRefusal.MALFORMED),
        (BY_NAME["kamstrup_multical_601"][:100], 17, MBusRefusal.MALFORMED),
        (b"\x00" + BY_NAME["kamstrup_multical_601"], 17, MBusRefusal.MALFORMED),
        (b"\xe5", 17, MBusRefusal.MALFORMED),
    ],
)
def test_line_when_the_answer_is_wrong(answer: bytes, address: int, expected: object) -> None:
    """Silence is silence; another meter's answer, a torn one and noise are refused."""
    assert mbus_serial.read_telegram(RecordedLine(answer), address) is expected
