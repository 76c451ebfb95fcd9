"""Linky: import and export from whole frames, the mode found by listening, and registers that are believed."""

from buses import tic
from meters.linky import Linky, registers

from neutral import raises, seeded
from test_tic import CAPTURE, HPHC, STANDARD, frame
from wires import Bench, Ticks

# A public frame of a Tempo customer.
TEMPO = (
    "OPTARIF BBR( S", "ISOUSC 90 ?", "BBRHCJB 044659149 G", "BBRHPJB 106861212 E", "BBRHCJW 009486954 _",
    "BBRHPJW 017712424 [", "BBRHCJR 005468651 P", "BBRHPJR 009396630 ^", "PTEC HPJB P", "PAPP 05240 ,",
)  # fmt: skip


def _group(label, data, separator):
    body = label + separator + data
    return body + separator + chr(tic.checksum(body.encode(), separator))


def _frame(import_wh, export_wh=None):
    groups = [_group("EAST", f"{import_wh:09d}", "\t")]
    if export_wh is not None:
        groups.append(_group("EAIT", f"{export_wh:09d}", "\t"))
    return frame(tuple(groups))


def _meter(mode="standard"):
    bench, ticks = Bench(), Ticks()
    return Linky({"mode": mode}, bench, ticks), bench, ticks


def _say(meter, bench, ticks, data, pause_ms=1000):
    bench.wire.incoming += data
    meter.poll()
    ticks.now_ms += pause_ms


def _fields(groups, separator):
    return tic.Reader(separator).feed(frame(groups))[0]


def test_registers_of_each_tariff():
    """The sum of the tariff's indexes; a frame that lacks one tells nothing."""
    assert registers(_fields(HPHC, " ")) == {1: 10556099 + 11141357}
    assert registers(_fields(TEMPO, " ")) == {1: 44659149 + 106861212 + 9486954 + 17712424 + 5468651 + 9396630}
    assert registers(_fields(("BASE 029757986 @",), " ")) == {1: 29757986}
    assert registers(_fields(STANDARD, "\t")) == {1: 80490250, 2: 3626872}
    assert registers(_fields(HPHC[:4], " ")) == {}
    assert registers(_fields(TEMPO[:7], " ")) == {}
    assert registers(_fields(("ADIR1 099 ;",), " ")) == {}


def test_index_that_is_not_nine_digits():
    """Eight digits with a good checksum are damage that fell through: not believed."""
    for data in ("08049025", "0804902500", "08049025 ", "-08049025"):
        assert registers(_fields((_group("EAST", data, "\t"),), "\t")) == {}


def test_consumer_and_producer():
    """The export register is there for a meter that sends it, from the first reading on."""
    for export_wh, expected in ((None, [(1, 500)]), (7, [(1, 500), (2, 7)])):
        meter, bench, ticks = _meter()
        _say(meter, bench, ticks, _frame(500, export_wh))
        assert raises(OSError, meter.read)
        _say(meter, bench, ticks, _frame(500, export_wh))
        assert meter.read() == expected
        assert bench.opened == [(9600, 7, 0, 1)]


def test_producer_whose_export_is_damaged_at_first():
    """A frame with a fault does not decide that there is no export."""
    meter, bench, ticks = _meter()
    for _ in range(3):
        _say(meter, bench, ticks, _frame(500, 7).replace(b"EAIT", b"EA\x7fT"))
    assert raises(OSError, meter.read)
    _say(meter, bench, ticks, _frame(500, 7))
    _say(meter, bench, ticks, _frame(500, 7))
    assert meter.read() == [(1, 500), (2, 7)]


def test_mode_found_by_listening():
    """Standard first, then historique, until frames come."""
    meter, bench, ticks = _meter("auto")
    for _ in range(20):
        _say(meter, bench, ticks, frame(HPHC))
    assert bench.opened == [(9600, 7, 0, 1), (1200, 7, 0, 1)]
    assert meter.state()["tic_mode"] == "historique"
    assert meter.read() == [(1, 21697456)]
    assert meter.state()["power_va"] == 1170


def test_index_that_runs_backwards():
    """Damage that passed a checksum of six bits: counted, not believed, and the next good frame is."""
    meter, bench, ticks = _meter()
    for import_wh in (500, 501, 101, 502):
        _say(meter, bench, ticks, _frame(import_wh))
    assert meter.read() == [(1, 502)]
    assert meter.state()["register_backwards"] == 1


def test_index_that_jumps_ahead():
    """No connection carries a megawatt-hour a second."""
    meter, bench, ticks = _meter()
    for import_wh in (500, 501, 1000501, 502):
        _say(meter, bench, ticks, _frame(import_wh))
    assert meter.read() == [(1, 502)]
    assert meter.state()["register_jumps"] == 1


def test_meter_that_was_replaced():
    """Another meter's index, lower, frame after frame for ten minutes: believed then, and it is told."""
    meter, bench, ticks = _meter()
    for _ in range(5):
        _say(meter, bench, ticks, _frame(500000))
    for second in range(610):
        _say(meter, bench, ticks, _frame(second // 100))
    assert meter.read() == [(1, 6)]
    assert meter.state()["register_replaced"] == 1


def test_silence():
    """A cable that was pulled: no value after a minute, rather than the last one."""
    meter, bench, ticks = _meter()
    for _ in range(3):
        _say(meter, bench, ticks, _frame(500))
    ticks.now_ms += 61000
    meter.poll()
    assert raises(OSError, meter.read)


def test_capture_of_a_producer():
    """The real log: both registers as the meter showed them, its damaged groups counted."""
    meter, bench, ticks = _meter()
    with open(CAPTURE, "rb") as file:
        data = b"\x02" + file.read()
    for at in range(0, len(data), 500):
        _say(meter, bench, ticks, data[at : at + 500], 500)
    assert meter.read() == [(1, 80490250), (2, 3626876)]
    assert meter.state()["tic_groups_bad"] == 8
    assert meter.state()["register_jumps"] == 0


def test_noise():
    """A bad line for an hour, seeded: what is read is what the meter showed, never less than before, never more."""
    chance = seeded(1654)
    meter, bench, ticks = _meter()
    last_wh, seen = 0, 0
    for second in range(3600):
        true_wh = 1000000 + second // 2
        data = bytearray(_frame(true_wh, 7))
        for _ in range(chance.randrange(3)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(7)
        _say(meter, bench, ticks, bytes(data))
        try:
            import_wh = meter.read()[0][1]
        except OSError:
            continue
        assert last_wh <= import_wh <= true_wh + 700  # what passes six bits of checksum is still bounded by 36 kW
        last_wh, seen = import_wh, seen + 1
    assert seen > 3000
