"""Modbus RTU: answers that are late, damaged, of another, of another length, exceptions, and noise."""

from buses import rtu

from neutral import seeded
from wires import Ticks, Wire, noise


def _answer(unit, function, data):
    body = bytes([unit, function, len(data)]) + data
    return body + rtu.crc16(body).to_bytes(2, "little")


def _asked():
    """A master that has asked unit 1 for two registers, its wire and its time."""
    wire, ticks = Wire(), Ticks()
    master = rtu.Master(wire, ticks, 1000)
    master.ask(1, 3, 0, 2)
    return master, wire, ticks


def _run(master, ticks, until_ms=10000):
    """Poll until the question has ended."""
    for _ in range(until_ms // 20):
        outcome = master.poll()
        if outcome != rtu.WAITING:
            return outcome
        ticks.now_ms += 20
    return rtu.WAITING


def test_recorded_frames():
    """ioBroker.modbus#286 and telegraf#9253: our questions and their answers have the CRCs that were on the wire."""
    assert rtu.question(1, 3, 0, 2).hex() == "010300000002c40b"
    assert rtu.question(10, 3, 0x1004, 2).hex() == "0a03100400028071"
    assert _answer(1, 3, bytes.fromhex("091b0000")).hex() == "010304091b000089a8"
    assert _answer(10, 3, bytes(4)).hex() == "0a03040000000040f3"


def test_answer_in_pieces_behind_noise():
    """A byte of noise as the transceiver turns round, then the answer byte by byte."""
    master, wire, ticks = _asked()
    for byte in b"\x00" + _answer(1, 3, b"\x09\x1b\x00\x00"):
        assert master.poll() == rtu.WAITING
        wire.incoming += bytes([byte])
        ticks.now_ms += 2
    assert master.poll() == rtu.ANSWERED
    assert master.answer == b"\x09\x1b\x00\x00"
    assert master.counts == {"answered": 1}


def test_no_answer():
    """Asked twice, then given up, and counted."""
    master, wire, ticks = _asked()
    assert _run(master, ticks) == rtu.FAILED
    assert wire.sent == [rtu.question(1, 3, 0, 2)] * 2
    assert master.counts == {"timeout": 2}


def test_exception():
    """An exception is an answer: it is not asked again."""
    master, wire, ticks = _asked()
    body = b"\x01\x83\x02"
    wire.incoming = body + rtu.crc16(body).to_bytes(2, "little")
    assert _run(master, ticks) == rtu.FAILED
    assert len(wire.sent) == 1
    assert master.counts == {"exception": 1}


def test_answers_of_others():
    """Another unit, function or length, or a wrong CRC, is not the answer; each is counted by its name."""
    good = _answer(1, 3, b"\x00\x01\x00\x02")
    for name, data in [
        ("other_unit", _answer(2, 3, b"\x00\x01\x00\x02")),
        ("other_function", _answer(1, 4, b"\x00\x01\x00\x02")),
        ("other_length", _answer(1, 3, b"\x00\x01")),
        ("crc", good[:-1] + bytes([good[-1] ^ 1])),
    ]:
        master, wire, ticks = _asked()
        wire.answer = lambda _written, data=data: data
        master.ask(1, 3, 0, 2)
        assert _run(master, ticks) == rtu.FAILED
        assert master.counts == {name: 2}, name


def test_answer_that_comes_late():
    """It is taken for the same question, repeated; what follows is thrown away before another question is asked."""
    master, wire, ticks = _asked()
    late = _answer(1, 3, b"\x00\x01\x00\x02")
    assert master.poll() == rtu.WAITING
    ticks.now_ms += 1000
    assert master.poll() == rtu.WAITING  # asked again
    wire.incoming = late
    assert master.poll() == rtu.ANSWERED
    assert not master.is_idle
    wire.incoming = late  # the answer to the repetition
    ticks.now_ms += 500
    assert not master.is_idle
    ticks.now_ms += 999
    assert not master.is_idle
    ticks.now_ms += 1
    assert master.is_idle
    assert master.counts == {"timeout": 1, "answered": 1, "late": len(late)}


def test_line_of_another_master():
    """mbmd#63: answers of Modbus TCP leak on to the line; none of 42 registers is taken for our two."""
    master, wire, ticks = _asked()
    wire.incoming = bytes.fromhex("003500000057010454436464ba0103040000")
    assert _run(master, ticks) == rtu.FAILED
    assert master.answer is None


def test_noise():
    """Random bytes around and in answers, seeded: an answer is the right one or none."""
    chance = seeded(485)
    right = 0
    for number in range(400):
        master, wire, ticks = _asked()
        data = number.to_bytes(4, "big")
        frame = bytearray(_answer(1, 3, data))
        if chance.randrange(2):
            frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        wire.incoming = noise(chance, chance.randrange(9)) + bytes(frame) + noise(chance, chance.randrange(600))
        if _run(master, ticks) == rtu.ANSWERED:
            assert master.answer == data
            right += 1
    assert right > 50
