"""Linky's TIC: real captures are read and rebuilt byte for byte, noise is counted, the firmware reads the same."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commonwatt.testing import ManualClock
from gateway.meters import tic, tic_meter
from gateway.meters.meter import Linky, Meter, limits_of
from gateway.meters.silence import MeterSilentError
from gateway.meters.tic import Frame, Group, Mode, Reader
from gateway.meters.tic_bus import STALE_S, TicBus, TicRegisters
from gateway.meters.tic_meter import Trusted
from gateway.settings import BusSettings
from tests.gateway.serial_ports import SerialAdapter

ROOT = Path(__file__).parents[2]
CAPTURES = Path(__file__).parent / "captures" / "linky"
STANDARD = (CAPTURES / "linkytic_standard_capture.txt").read_bytes().strip(b"\n").split(b"\n")
HISTORIQUE = (CAPTURES / "linkytic_historic_capture.txt").read_bytes().strip(b"\n").split(b"\n")
PRODUCER = (CAPTURES / "teleinfo2mqtt_standard_frames_f22c458.log").read_bytes()
# The same parser on a chip, asked in another process: its modules have names of their own world.
FIRMWARE = """
import json, sys
from buses import tic
out = []
for separator, data in json.load(sys.stdin):
    reader = tic.Reader(separator)
    frames = reader.feed(bytes.fromhex(data))
    plain = [[frame.pop("") , {label: list(pair) for label, pair in frame.items()}] for frame in frames]
    out.append([plain, reader.good, reader.bad, reader.frames, reader.broken])
json.dump(out, sys.stdout)
"""


def framed(lines: list[bytes]) -> bytes:
    """A capture's lines as a meter sends them; the files have them without control characters."""
    return b"\x02" + b"".join(b"\n" + line + b"\r" for line in lines) + b"\x03"


@pytest.mark.parametrize(("lines", "mode"), [(STANDARD, Mode.STANDARD), (HISTORIQUE, Mode.HISTORIQUE)])
def test_frame_when_a_real_meter_sent_it(lines: list[bytes], mode: Mode) -> None:
    """Every group is read, and rebuilt to the same bytes, checksum included."""
    (frame,) = Reader(mode).feed(framed(lines))
    assert frame.bad == 0
    assert framed([group.encode(mode) for group in frame.groups.values()]) == framed(lines)


def test_registers_when_a_real_meter_sent_them() -> None:
    """BASE in historique, EAST in standard; EAIT is export and stands only on a producer's meter."""
    assert registers(HISTORIQUE, Mode.HISTORIQUE) == ((1, 123456789),)
    assert registers(STANDARD, Mode.STANDARD) == ((1, 3519702),)
    reader = Reader(Mode.STANDARD)
    frames = [frame for frame in reader.feed(PRODUCER) if tic_meter.registers_wh(frame)]
    assert tic_meter.registers_wh(frames[-1]) == ((1, 80490250), (2, 3626876))
    assert reader.bad > 0


def registers(lines: list[bytes], mode: Mode) -> object:
    (frame,) = Reader(mode).feed(framed(lines))
    return tic_meter.registers_wh(frame)


def test_checksum_when_it_is_a_space() -> None:
    """A checksum may be a space: the group is good, and nothing strips it."""
    lines = [
        line
        for line in (CAPTURES / "teleinfo2mqtt_standard_frames.log").read_bytes().split(b"\n")
        if b"\t \r" in line
    ]
    assert lines
    for line in lines:
        group = tic.parse(line.removesuffix(b"\r"), Mode.STANDARD)
        assert group is not None
        assert group.encode(Mode.STANDARD) == line.removesuffix(b"\r")


def sound(label: str, *fields: str, mode: Mode = Mode.STANDARD) -> bytes:
    """A group as the meter sent it, by Enedis-NOI-CPT_54E: fields, separator, checksum."""
    body = chr(mode.separator).join((label, *fields)).encode("latin-1")
    return body + bytes([mode.separator, tic.checksum(body, mode)])


def damaged() -> list[bytes]:
    """What users of hekmon/linkytic saw of sound groups (issues 51, 67, 9 and 11), the damage done to them again."""
    old = Mode.HISTORIQUE
    easf3, easf4, easf5 = sound("EASF03", "001548023"), sound("EASF04", "002860327"), sound("EASF05", "000856392")
    return [
        sound("ADSC", "000000000000")[:-1] + b"8",  # another number stood there
        sound("PRM", "00000000000000") + b"\x0c",  # FF for CR
        sound("EASD01", "064760712").replace(b"60712", b"6 712"),
        sound("SMAXSN-1", "H241202043910", "03800").replace(b"0\tR", b"0\x08R"),  # BS for HT
        easf3 + b"\r\x0e" + easf4,  # SO for LF, and so on: two groups in one line
        easf4 + b"\r\x0e" + easf5,
        sound("IRMS3", "004") + b"\r\x0f" + sound("URMS1", "235"),
        easf3 + b"\r\x0b" + easf4,
        sound("NJOURF+1", "00") + b"\r\x0bPJOURF+1\t00004001 06004002 16004001 NONUTILE\xd78\t1",
        sound("HCHP", "019571184", mode=old) + b"\r\x04\x02\n",  # interrupted, and the next frame
        sound("ISOUSC", "45", mode=old)[:-1] + b"\x7f",  # one bit of the checksum
        sound("OPTARIF", "HC..", mode=old).replace(b"O", b"\xbf"),
        sound("OPTARIF", "HC..", mode=old).replace(b"OP", b"?("),
        sound("OPTARIF", "HC..", mode=old).replace(b"O", b"?"),
        sound("MOTDETAT", "000000", mode=old).replace(b"OT", b"?\xaa", 1),
    ]


def test_line_when_it_was_damaged_for_real() -> None:
    """Of the lines that users reported, none gives a wrong group; what is whole beside the damage is kept."""
    kept = []
    for line in damaged():
        mode = Mode.STANDARD if b"\t" in line else Mode.HISTORIQUE
        (frame,) = Reader(mode).feed(framed([line]))[-1:] or [Frame({}, 1)]
        kept += [(group.label, group.data) for group in frame.groups.values()]
    assert ("EASF03", "001548023") in kept
    assert all(label.isascii() and "?" not in label for label, _ in kept)
    assert not any(label == "EASD01" for label, _ in kept)


def test_reader_when_bytes_come_one_by_one() -> None:
    """Where the bytes are cut does not matter."""
    at_once, one_by_one = Reader(Mode.STANDARD), Reader(Mode.STANDARD)
    frames = [frame for byte in PRODUCER for frame in one_by_one.feed(bytes([byte]))]
    assert frames == at_once.feed(PRODUCER)


def test_reader_when_a_frame_is_interrupted() -> None:
    """EOT ends a frame unfinished, STX begins anew; neither half is a frame."""
    whole = framed(STANDARD)
    reader = Reader(Mode.STANDARD)
    assert reader.feed(whole[:200] + b"\x04" + whole[200:]) == []
    assert len(reader.feed(whole[:300] + whole)) == 1
    assert reader.broken == 2


def test_reader_when_nothing_ends() -> None:
    """A line or a frame without end takes bounded memory and gives nothing."""
    reader = Reader(Mode.HISTORIQUE)
    assert reader.feed(b"\x02\n" + b"A" * 10_000 + b"\r\x03")[0] == Frame({}, 1)
    lines = [Group(f"L{n}", None, "0").encode(Mode.HISTORIQUE) for n in range(tic.GROUPS_MAX + 1)]
    assert reader.feed(framed(lines)) == []
    assert reader.broken == 1


def test_reader_when_a_label_comes_twice() -> None:
    """Two different data under one label: neither is believed."""
    lines = [Group("BASE", None, text).encode(Mode.HISTORIQUE) for text in ("000000001", "000000002")]
    assert registers(lines, Mode.HISTORIQUE) is None


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [
        ({"HCHC": "000000100", "HCHP": "000000023"}, ((1, 123),)),
        ({"HCHC": "000000100"}, None),
        ({"BASE": "00000100"}, None),
        ({"BASE": "00000 100"}, None),
        ({"ADIR1": "060"}, None),
        ({"EAST": "000000007", "EAIT": "00000000X"}, None),
    ],
)
def test_registers_when_indexes_are_missing(indexes: dict[str, str], expected: object) -> None:
    """A tariff's indexes count together or not at all; a digit that became a space is no digit."""
    groups = {label: Group(label, None, data) for label, data in indexes.items()}
    assert tic_meter.registers_wh(Frame(groups, 0)) == expected


def test_registers_when_frames_come_in() -> None:
    """The second frame that agrees is believed; a silent dongle has no value, and a value grows stale."""
    linky = TicRegisters(Mode.STANDARD)
    linky.feed(framed(STANDARD), 0.0)
    assert linky.registers_wh(0.0) is None
    linky.feed(framed(STANDARD), 2.0)
    assert linky.registers_wh(2.0) == ((1, 3519702),)
    assert linky.registers_wh(2.0 + STALE_S) is None


def linky_on(bus: BusSettings) -> Meter:
    return Meter("linky", bytes(16), bus, 1, Linky(), limits_of(Linky()))


async def outcome(opened: Any, meter: Meter) -> Any:
    """The registers once there are some; the reason of the silence if the dongle or the meter is not there."""
    try:
        await opened.shown(meter)
        return await opened.energy(meter)
    except MeterSilentError as silence:
        return silence.reason


def test_dongle_when_it_is_noisy_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    """Noise between frames does not matter; out, it has no connection; in again, it is believed after two frames."""
    noise = bytes(random.Random(4).randrange(256) for _ in range(500))
    protocol = ManualClock()

    async def run(dongle: SerialAdapter) -> list[Any]:
        bus = BusSettings(name="linky", kind="tic", serial=str(dongle.path), mode="standard")
        opened, meter = TicBus(bus, protocol), linky_on(bus)
        try:
            await until(lambda: opened.is_open)
            dongle.send(noise + framed(STANDARD) + noise + framed(STANDARD))
            found = [await outcome(opened, meter)]
            await asyncio.to_thread(dongle.unplug)
            await until(lambda: not opened.is_open)
            protocol.advance(STALE_S)
            with pytest.raises(MeterSilentError, match="no-connection"):
                await opened.energy(meter)
            await asyncio.to_thread(dongle.plug)
            await until(lambda: opened.is_open)
            with pytest.raises(MeterSilentError, match="no-answer"):
                await opened.energy(meter)
            dongle.send(noise)
            await until(lambda: opened.silence() == "no-frame")
            dongle.send(framed(STANDARD) + framed(STANDARD))
            found.append(await outcome(opened, meter))
            assert opened.registers.reader.bad > 0
            return found
        finally:
            opened.close()
            await asyncio.sleep(0)

    with SerialAdapter(tmp_path / "dongle") as dongle:
        assert asyncio.run(run(dongle)) == [((1, 3519702),), ((1, 3519702),)]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, within reason."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_trust_when_a_damaged_index_passes() -> None:
    """A jump is not believed; after a meter was replaced, ten minutes of agreement are."""
    register = Trusted()
    assert [register.take(1000, 0), register.take(1001, 10)] == [False, True]
    assert not register.take(9_001_002, 20)
    assert register.take(1003, 30)
    assert not register.take(3, 40)
    assert (register.register_wh, register.jumps, register.backwards) == (1003, 1, 1)
    assert not register.take(4, 600)
    assert register.take(5, 641)
    assert (register.register_wh, register.replaced) == (5, 1)


def test_parsers_when_fed_the_same_bytes() -> None:
    """The firmware's parser and ours give the same frames and counts, on captures and on seeded damage to them."""
    seed = 20260307
    print("seed", seed)
    chance = random.Random(seed)
    samples = [(Mode.STANDARD, PRODUCER), (Mode.STANDARD, framed(STANDARD)), (Mode.HISTORIQUE, framed(HISTORIQUE))]
    samples += [(Mode.HISTORIQUE, framed([line])) for line in damaged()]
    for _ in range(60):
        mode, data = samples[chance.randrange(3)]
        noisy = bytearray(data)
        for _ in range(chance.randrange(1, 30)):
            noisy[chance.randrange(len(noisy))] = chance.choice(
                (0x02, 0x03, 0x04, 0x08, 0x0A, 0x0B, 0x0D, 0x20, 0x30, 0xD7)
            )
        samples.append((mode, bytes(noisy)))
    asked = json.dumps([(chr(mode.separator), data.hex()) for mode, data in samples])
    answer = subprocess.run(
        [sys.executable, "-c", FIRMWARE],
        input=asked,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "firmware",
    )
    for (mode, data), theirs in zip(samples, json.loads(answer.stdout), strict=True):
        reader = Reader(mode)
        ours = [[f.bad, {g.label: [g.stamp or "", g.data] for g in f.groups.values()}] for f in reader.feed(data)]
        assert [ours, reader.good, reader.bad, reader.frames, reader.broken] == theirs
